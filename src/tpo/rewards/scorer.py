"""Scores of whole batches by one classifier: each as if it were alone."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpo.inprocess.loading import Checkpoint
from tpo.inprocess.worker import one_core, usable_cores, use_one_core

if TYPE_CHECKING:
    from tpo.rewards.selftest import Reader

log = logging.getLogger(__name__)

MOST_WORKERS = 4
"""Threads that read for a small model: the interpreter's lock leaves more of them nothing to gain."""
EXACT_DECIMALS = 4
"""Digits of a score that is made to be the same in every batch."""
NOISE = 1.5e-5
"""A bound on what float32 does to a score, relative to it where it is above 1; up to 1.1e-5 was seen."""
MOST_DOUBT = 0.5
"""The share of doubtful scores above which all conversations are read alone, rather than these twice."""


class Scorer:
    """A classifier that reads many conversations at once, without padding where it can.

    How it may read is tried at load, on the conversations *trial*, against the model reading each of them
    alone: packed in one row, else padded, else one by one. Conversations beyond the model's
    :func:`tpo.inprocess.limits.uniform_length` are always read alone.

    A small model on a CPU has one core for itself: its products gain nothing by a second. *exact*: round
    scores so that no batch can change them. Where the machine computes a token's numbers to the same last bit
    in every batch, which is tried as well, that needs nothing more; elsewhere, conversations whose scores lie
    near the edge of a rounding are read again, alone, and all of them where most would be.

    Raises:
        RewardRefused: the model fails on a conversation alone, or gives no single number.
    """

    def __init__(self, checkpoint: Checkpoint, *, exact: bool, trial: Sequence[Sequence[int]] = ()) -> None:
        from tpo.rewards.packed import packed_reader
        from tpo.rewards.padded import PaddedReader
        from tpo.rewards.selftest import Trial

        self._exact = exact
        self._one_core = checkpoint.is_small
        padded = PaddedReader(checkpoint.model, checkpoint.config.pad_token_id, checkpoint.name)
        with one_core() if self._one_core else contextlib.nullcontext():
            tried = Trial.of(checkpoint, padded, padded.pad_token, trial)
            packed = packed_reader(padded, tried) if _may_pack(checkpoint) else None
            self.packed = packed is not None
            """True if it reads without padding."""
            self._read: Reader = packed or padded
            self.steady = packed is not None and self._one_core and tried.is_steady(packed)
            """True if no batch changes a score in any bit; tested for small models only."""
            batched = self.packed or (_may_pad(checkpoint) and tried.agrees(padded))
        self._settles = exact and not self.steady
        alone = not batched or (self._settles and _doubt(tried.expected) > MOST_DOUBT)
        self._limit = 0 if alone else tried.limit
        """Tokens up to which a conversation may share a batch."""
        self._uniform = tried.limit == math.inf
        if self._limit == 0:
            log.warning("%s: scored one conversation at a time: correct, but slower", checkpoint.name)

    @property
    def workers(self) -> int:
        """Return the number of threads that pay."""
        side_by_side = self.packed and self._one_core and self._uniform
        return min(MOST_WORKERS, usable_cores()) if side_by_side else 1

    def scores(self, batch: Sequence[Sequence[int]]) -> list[float]:
        """One raw logit a conversation."""
        from tpo.rewards.selftest import read_within

        if self._one_core:
            use_one_core()
        values = read_within(self._read, batch, self._limit)
        if self._settles and self._limit and len(batch) > 1:
            found = zip(batch, values, strict=True)
            values = [self._read([one])[0] if _near_edge(value) else value for one, value in found]
        return [round(value, EXACT_DECIMALS) for value in values] if self._exact else values


def _may_pack(checkpoint: Checkpoint) -> bool:
    """Return whether packing could pay: GPUs want few large kernels, not one per conversation."""
    return checkpoint.device.type == "cpu" and not checkpoint.spread and not checkpoint.own_code


def _may_pad(checkpoint: Checkpoint) -> bool:
    """Return whether rows of a batch may differ: an encoder-decoder wants as many end tokens in each."""
    return not checkpoint.model.config.is_encoder_decoder


def _doubt(values: Sequence[float]) -> float:
    """The share of scores like *values* that noise could round otherwise."""
    return sum(min(1.0, 2 * _noise(value)) for value in values) / len(values)


def _noise(value: float) -> float:
    """Return the float32 error of *value* in units of the last decimal."""
    return float(NOISE * max(1.0, abs(value)) * 10**EXACT_DECIMALS)


def _near_edge(value: float) -> bool:
    """Return whether noise could change the rounding of *value*, or it is no number."""
    return not abs(value * 10**EXACT_DECIMALS % 1 - 0.5) > _noise(value)
