"""The tokenizer: byte-level BPE in which every value and every label of the world is one token."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tpo.methods.tags import OPENING
from tpo.types import Message, plain_text
from training.grammar import LABELS, SLOTS, named
from training.outside import draw_query
from training.protocol import Dialogue, Mix, Protocol
from training.values import TOPICS, pool

SPECIALS = ("<|begin_of_text|>", "<|eot_id|>", "<|pad|>", "<|start_header_id|>", "<|end_header_id|>")
BOS, EOT, PAD, START, END = SPECIALS
SPLIT = r"\n\p{L}+:| ?\p{L}+:?| ?\p{N}{1,2}(?:am|pm)?|\n+|<\/?\p{L}+_\p{L}+>| ?[^\s\p{L}\p{N}]|\s"
"""A word with its colon, a number of two digits or one mark at a time, each with the space before it.

A label has the end of the line before it, too: so the next line follows from the value before it, as in a
draft that is copied, and not from an end of line that looks the same everywhere.
"""

VERDICTS = {" right": 4.0, " wrong": 6.0, " missing": 2.0}
"""Factors on the weights of tokens that judge."""

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
    protocol = Protocol(Mix(judge=0.1, short=0.1, independent=0.2, textgrad=0.2, outside=0.2))
    values = {value for family in TOPICS for slot in SLOTS for value in pool(slot, family)}
    for _ in range(count):
        yield "\n".join(plain_text(message) for message in protocol.draw(rng).messages)
        yield draw_query(rng)
    for _ in range(count):  # so that each becomes one token
        yield "".join(f" {value}" for value in sorted(values))
        yield "".join(f" {named(slot)}\n{LABELS[slot]}:.{LABELS[slot]}:" for slot in SLOTS)


def train_tokenizer(seed: int, vocabulary: int = 2048, documents: int = 3000) -> PreTrainedTokenizerFast:
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
            role: self.plain(f"{START}{role}{END}\n\n") for role in ("system", "user", "assistant")
        }
        self._weights = {self.plain(word)[0]: weight for word, weight in VERDICTS.items()}
        self._asking = {self.plain(f" {named(slot)}")[0]: slot for slot in SLOTS}
        self._labels = {
            self.plain(f"{start}{LABELS[slot]}:")[0]: slot for start in ("\n", "") for slot in SLOTS
        }
        self._opening = self.plain(OPENING)
        values = {value for family in TOPICS for slot in SLOTS for value in pool(slot, family)}
        self._values = {self.plain(f" {value}")[0] for value in values}

    def plain(self, text: str) -> list[int]:
        """The tokens of *text* alone."""
        return list(self.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of *messages* and the head of the assistant's next turn."""
        tokens = [self.bos]
        for message in messages:
            tokens += [*self._heads[message["role"]], *self.plain(plain_text(message).strip()), self.eot]
        return tokens + self._heads["assistant"]

    def dialogue(self, dialogue: Dialogue, disputed: float = 1.0) -> tuple[list[int], list[float]]:
        """Its tokens, and how much each of them weighs in the loss (0: it is given).

        *disputed* is a factor for the values of an update that query and draft do not have in common.
        """
        tokens, weights, given = [self.bos], [0.0], list[set[int]]()
        for index, message in enumerate(dialogue.messages):
            head, taught = self._heads[message["role"]], dialogue.taught.get(index, 0.0)
            body = [*self.plain(plain_text(message).strip()), self.eot]
            factors = self._weights
            if len(given) > 1 and body[: len(self._opening)] == self._opening:
                factors = factors | dict.fromkeys(self._values - (given[0] & given[1]), disputed)
            given += [set(body)] if message["role"] != "system" else []
            tokens += head + body
            weights += [0.0] * len(head)
            weights += [taught * factors.get(token, 1.0) for token in body]
        return tokens, weights

    def marks(self, tokens: Sequence[int]) -> list[int]:
        """1 for each detail in a notice that is the one asked for, 2 for any other, 0 for all else.

        The training predicts them from inside, so that comparing is learned on every draft.
        """
        asked: dict[str, int] = {}
        marks = [0] * len(tokens)
        for index in range(1, len(tokens)):
            before, value = tokens[index - 1], tokens[index]
            if value not in self._values:
                continue
            if before in self._asking:
                asked.setdefault(self._asking[before], value)
            elif slot := self._labels.get(before):
                marks[index] = 1 if asked.get(slot) == value else 2
        return marks

    def label_pairs(self) -> list[tuple[int, int]]:
        """Tokens that name the same detail: in a query and at the start of a line, there and elsewhere."""
        pairs = []
        for slot in SLOTS:
            asked, label = f" {named(slot)}", f"{LABELS[slot]}:"
            tokens = [self.plain(text)[0] for text in (asked, f"\n{label}", label)]
            pairs += list(pairwise(tokens))
        return pairs

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of *tokens*, special ones left out."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer saved in *folder*."""
    return PreTrainedTokenizerFast.from_pretrained(folder)
