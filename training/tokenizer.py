"""The tokenizer: byte-level BPE whose pieces never join a value with what stands beside it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tpo.types import Message, plain_text
from training.outside import draw_query
from training.protocol import Dialogue, Mix, Protocol

BOS, EOT, PAD, START, END = (
    "<|begin_of_text|>",
    "<|eot_id|>",
    "<|pad|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
)
SPECIALS = (BOS, EOT, PAD, START, END)
SPLIT = r" ?\p{L}+| ?\p{N}{1,2}|\n+|<\/?\p{L}+_\p{L}+>| ?[^\s\p{L}\p{N}]|\s"
"""A word, a number of two digits or one mark at a time, each with the space before it."""

WEIGHTS = {"Missing: ": 4.0, "Rejected: ": 0.3, "Change ": 2.0, "Add ": 2.0, "Remove ": 2.0}
"""What the tokens of a taught line weigh in the loss, by its start; of any other line 1."""

VERDICTS = (" right", " wrong")
VERDICT_WEIGHT, DETAIL_WEIGHT = 6.0, 2.0
"""And what those of a verdict and of its details weigh, times its line."""

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['content'] is string %}{% set text = message['content'] %}"
    "{% else %}{% set parts = message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% set text = parts | map(attribute='text') | join('\n') %}{% endif %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + text | trim + '<|eot_id|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


def _corpus(rng: random.Random, count: int) -> Iterator[str]:
    protocol = Protocol(Mix(independent=0.2))
    roles = "\n".join(("system", "user", "assistant"))
    for _ in range(count):
        yield "\n".join(plain_text(message) for message in protocol.draw(rng).messages)
        yield draw_query(rng)
        yield roles


def train_tokenizer(seed: int, vocabulary: int = 2048, documents: int = 6000) -> PreTrainedTokenizerFast:
    """A tokenizer made from synthetic text alone."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(random.Random(seed), documents), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOT,
        pad_token=PAD,
        chat_template=TEMPLATE,
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )


class Encoder:
    """Turns messages into tokens the way the chat template does, only faster."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        self.bos, self.eot, self.pad = (tokenizer.convert_tokens_to_ids(token) for token in (BOS, EOT, PAD))
        self._heads = {
            role: self._plain(f"{START}{role}{END}\n\n") for role in ("system", "user", "assistant")
        }

    def _plain(self, text: str) -> list[int]:
        return list(self.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of *messages* and the head of the assistant's next turn."""
        tokens = [self.bos]
        for message in messages:
            tokens += [*self._heads[message["role"]], *self._plain(plain_text(message).strip()), self.eot]
        return tokens + self._heads["assistant"]

    def dialogue(self, dialogue: Dialogue) -> tuple[list[int], list[float]]:
        """Its tokens, and how much each of them weighs in the loss (0: it is given)."""
        tokens, weights = [self.bos], [0.0]
        for index, message in enumerate(dialogue.messages):
            head, text, taught = (
                self._heads[message["role"]],
                plain_text(message).strip(),
                index in dialogue.taught,
            )
            body, weight = self._weighed(text) if taught else (self._plain(text), [])
            tokens += [*head, *body, self.eot]
            weights += [0.0] * len(head) + ([*weight, 1.0] if taught else [0.0] * (len(body) + 1))
        return tokens, weights

    def _weighed(self, text: str) -> tuple[list[int], list[float]]:
        """Tokens and weights of a taught text: a verdict is one word behind a long line, and matters most."""
        tokens: list[int] = []
        weights: list[float] = []
        for number, line in enumerate(text.split("\n")):
            weight = next((weight for start, weight in WEIGHTS.items() if line.startswith(start)), 1.0)
            copied, mark, verdict = line.partition(" - ")
            parts = [("\n" * (number > 0) + copied, weight)]
            parts += [
                (part, weight * (VERDICT_WEIGHT if part in VERDICTS else DETAIL_WEIGHT))
                for part in re.split(f"({'|'.join(VERDICTS)})", mark + verdict)
            ]
            for part, factor in parts:
                ids = self._plain(part)
                tokens += ids
                weights += [factor] * len(ids)
        return tokens, weights

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of *tokens*, special ones left out."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer saved in *folder*."""
    return PreTrainedTokenizerFast.from_pretrained(folder)
