"""A model of random words, for what depends on lengths and not on sense, and its replies of given lengths.

    python -m benchmarks.words FOLDER          writes the model; serve it as any other

A token is a word, so whatever the model writes is read again as the very tokens that it wrote, as the texts
of real models nearly always are. Words that it does not know (those of the instructions) are a token each
too.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from benchmarks.simulation.models import Lengths, drawn
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tpo.methods.tags import CLOSING, OPENING
from tpo.policies.base import Policy
from tpo.policies.siblings import as_finished
from tpo.types import Completion, Messages, Query, Sampling, Scope, Score, user

NO_WORDS = ("<unknown>", "<turn_end>", "<system>", "<user>", "<assistant>")
WORDS = 2_000
CONTEXT = 8_192
TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}> {{ message.content }} <turn_end> {% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
EXTRA = {"ignore_eos": True, "logit_bias": {str(token): -100 for token in range(len(NO_WORDS))}}
"""Fields of each request: words alone are drawn, as many as are asked for."""


def save_words(folder: Path) -> Path:
    """The model and its tokenizer in *folder*."""
    vocabulary = [*NO_WORDS, *(f"w{number}" for number in range(WORDS))]
    numbered = {word: number for number, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(numbered, unk_token=NO_WORDS[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=NO_WORDS[0],
        eos_token=NO_WORDS[1],
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        eos_token_id=numbered[NO_WORDS[1]],
        bos_token_id=None,
        pad_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def questions(count: int, lengths: Lengths) -> list[Query]:
    """So many queries of drawn lengths."""
    return [Query(name, (user(_words(name, lengths)),)) for name in (f"q{number}" for number in range(count))]


def _words(name: str, lengths: Lengths) -> str:
    luck = drawn(f"words {name}")
    return " ".join(f"w{luck.randrange(WORDS)}" for _ in range(lengths.of_question(name)))


class OfLengths:
    """Replies of drawn lengths from the words that a server writes; updates stand between their tags."""

    def __init__(self, policy: Policy, lengths: Lengths) -> None:
        self._policy = policy
        self._lengths = lengths

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield each reply as it is finished."""
        jobs = [self._one(messages, sampling.only(index), scope, index) for index in range(sampling.n)]
        async for completion in as_finished(jobs):
            yield completion

    async def _one(self, messages: Messages, sampling: Sampling, scope: Scope, index: int) -> Completion:
        sampling = replace(sampling, max_tokens=self._lengths.of_reply(scope, sampling.seed))
        (completion,) = [one async for one in self._policy.sample(messages, sampling, scope)]
        text = completion.text
        tagged = f"{OPENING} {text} {CLOSING}" if scope.phase == "update" else text
        return replace(completion, index=index, text=tagged)


@dataclass(frozen=True, slots=True)
class ByPlace:
    """A reward that hangs on a candidate's place alone, so that all layouts choose alike.

    Its mean rises by *gain* standard deviations a step.
    """

    gain: float = 0.0

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """A draw of the place's own."""
        del messages, response
        luck = drawn(f"reward {scope.query} {scope.step} {scope.index}")
        return Score(luck.gauss(self.gain * scope.step, 1.0))


def main() -> None:
    """Write the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    save_words(parser.parse_args().folder)


if __name__ == "__main__":
    main()
