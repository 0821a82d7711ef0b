"""Self-test at load: whether a way to read batches gives each conversation the score that it has alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import torch

from tpo.errors import RewardRefused
from tpo.inprocess.limits import uniform_length
from tpo.inprocess.loading import Checkpoint
from tpo.inprocess.memory import first_line

TOLERANCE = {torch.float64: 1e-3, torch.float32: 1e-3}
"""Maximum difference between batched and single scores, in standard deviations."""
HALF_TOLERANCE = 0.3
"""The same in half precision, whose rounding depends on the batch."""
FEW = 4
"""Conversations that readers are compared on, since a large model takes seconds."""
SIZES = ((0, 7), (5, 16), (5, 9), (0, 40), (40, 3), (40, 17), (40, 60), (90, 42), (90, 150), (100, 231))
"""Of each conversation of the test the tokens that it shares with others, and those of its own."""

Conversation = Sequence[int]
Reader = Callable[[Sequence[Conversation]], list[float]]
"""Raw logits of a batch."""


def read_within(reader: Reader, batch: Sequence[Conversation], limit: float) -> list[float]:
    """Read the conversations of up to *limit* tokens together, and each of the others alone."""
    together = [at for at, one in enumerate(batch) if len(one) <= limit]
    values = dict(zip(together, reader([batch[at] for at in together]), strict=True)) if together else {}
    return [values[at] if at in values else reader([one])[0] for at, one in enumerate(batch)]


@dataclass(frozen=True, slots=True)
class Trial:
    """A few conversations with their scores alone, and *others* of many lengths.

    *limit* is the model's :func:`tpo.inprocess.limits.uniform_length`; one of the few exceeds it where that
    is cheap.
    """

    few: list[Conversation]
    expected: list[float]
    others: list[Conversation]
    limit: float
    tolerance: float

    @classmethod
    def of(
        cls, checkpoint: Checkpoint, plain: Reader, pad: int | None, few: Sequence[Conversation] = ()
    ) -> Trial:
        """Return the trial of a model that *plain* reads; *pad* is its padding token.

        *few* are conversations in the model's own template, which some heads look for; else random tokens.

        Raises:
            RewardRefused: the model fails on a conversation alone, or gives no single number.
        """
        limit = uniform_length(checkpoint.config) or math.inf
        made = _conversations(checkpoint, pad)
        tried = [*(few or made[:FEW]), *[one for one in made if len(one) > limit][:1]]
        expected = _read_alone(checkpoint, plain, tried)
        return cls(tried, expected, made, limit, TOLERANCE.get(checkpoint.dtype, HALF_TOLERANCE))

    def agrees(self, reader: Reader) -> bool:
        """Return whether *reader* gives the expected scores; what fails on them does not."""
        try:
            found = torch.tensor(read_within(reader, self.few, self.limit))
        except Exception:  # noqa: BLE001 - whatever a model raises, it does not read this
            return False
        expected = torch.tensor(self.expected)
        return bool((found - expected).abs().max() <= self.tolerance * expected.std())  # NaN is not

    def is_steady(self, reader: Reader) -> bool:
        """Return whether no batch changes a score by even its last bit.

        That is so where the rounding of a product's row does not depend on how many rows there are.
        """
        tried = [one for one in self.others if len(one) <= self.limit]
        together = reader(tried)
        return together == [reader([one])[0] for one in tried] and together[:5] == reader(tried[:5])


def _conversations(checkpoint: Checkpoint, pad: int | None) -> list[Conversation]:
    """Conversations of 7 to 331 tokens, or what the model reads, many with the beginning of another."""
    luck = Random(0)  # noqa: S311 - a trial
    end = checkpoint.model.config.eos_token_id if checkpoint.model.config.is_encoder_decoder else None
    tokens = [token for token in range(min(1000, checkpoint.config.vocab_size)) if token not in (pad, end)]
    begin = luck.choices(tokens, k=100)
    closing = [] if end is None else [end]
    return [
        [*[*begin[:common], *luck.choices(tokens, k=rest)][: checkpoint.context - len(closing)], *closing]
        for common, rest in SIZES
    ]


def _read_alone(checkpoint: Checkpoint, plain: Reader, batch: Sequence[Conversation]) -> list[float]:
    try:
        return read_within(plain, batch, 0)
    except RewardRefused:
        raise
    except Exception as error:
        whose = "the model's own code" if checkpoint.own_code else "the model"
        raise RewardRefused(
            f"{checkpoint.name}: {whose} failed on a first conversation ({first_line(error)})"
        ) from error
