"""Scores of whole batches by one classifier: each as if it were alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TypeVar

from tpo.inprocess.loading import EXACT_PARAMETERS, Checkpoint, require_torch
from tpo.inprocess.worker import usable_cores

MOST_WORKERS = 4
"""Threads that read for a small model: the interpreter's lock leaves more of them nothing to gain."""
EXACT_DECIMALS = 4
"""Digits of a score that is made to be the same in every batch."""
NOISE = 1e-5
"""A bound on what float32 does to a score, relative to it where it is above 1; up to 4.4e-6 was seen."""

Result = TypeVar("Result")


class Scorer:
    """A classifier that reads many conversations at once, without padding where it can.

    A small model on a CPU has one core for itself: its products gain nothing by a second. *exact*: round
    scores so that no batch can change them. Where the machine computes a token's numbers to the same last bit
    in every batch, which is tried at the start, that needs nothing more; elsewhere, scores near the edge of a
    rounding are computed again in double precision.
    """

    def __init__(self, checkpoint: Checkpoint, *, exact: bool) -> None:
        from tpo.rewards.packed import is_steady, packed_reader
        from tpo.rewards.padded import PaddedReader

        self._exact = exact
        self._one_core = is_small(checkpoint)
        padded = PaddedReader(checkpoint.model, checkpoint.config.pad_token_id, checkpoint.name)
        packed = packed_reader(padded) if _may_pack(checkpoint) else None
        self._read = packed or padded
        self.packed = packed is not None
        """Whether it reads without padding."""
        self.steady = packed is not None and self._one_core and _on_one_core(lambda: is_steady(packed))
        """Whether no batch changes a score by even its last bit; tried of small models only."""
        self._arbiter = copy.deepcopy(self._read) if exact and not self.steady else None
        if self._arbiter is not None:
            self._arbiter.model.double()

    @property
    def workers(self) -> int:
        """How many threads may score side by side to advantage."""
        return min(MOST_WORKERS, usable_cores()) if self.packed and self._one_core else 1

    def scores(self, batch: Sequence[Sequence[int]]) -> list[float]:
        """One raw logit a conversation."""
        torch, _ = require_torch("an in-process reward model")
        if self._one_core and torch.get_num_threads() != 1:  # a thread's own number, and threads come and go
            torch.set_num_threads(1)
        values = self._read(batch)
        if self._arbiter is not None:
            values = self._settled(batch, values)
        return [round(value, EXACT_DECIMALS) for value in values] if self._exact else values

    def _settled(self, batch: Sequence[Sequence[int]], values: list[float]) -> list[float]:
        """*values*, those that noise could round otherwise in double precision."""
        doubtful = [at for at, value in enumerate(values) if _near_edge(value)]
        if not doubtful or self._arbiter is None:
            return values
        settled = dict(zip(doubtful, self._arbiter([batch[at] for at in doubtful]), strict=True))
        return [settled.get(at, value) for at, value in enumerate(values)]


def _on_one_core(work: Callable[[], Result]) -> Result:
    """What *work* gives without threads of its own."""
    torch, _ = require_torch("an in-process reward model")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return work()
    finally:
        torch.set_num_threads(threads)


def is_small(checkpoint: Checkpoint) -> bool:
    """Whether it is on a CPU and so small that it may be run twice, or in double precision."""
    fits = checkpoint.parameters <= EXACT_PARAMETERS and not checkpoint.spread
    return fits and bool(checkpoint.device.type == "cpu")


def _may_pack(checkpoint: Checkpoint) -> bool:
    """Whether packing could gain: cards want few large kernels, not one for each conversation."""
    return checkpoint.device.type == "cpu" and not checkpoint.spread and not checkpoint.own_code


def _near_edge(value: float) -> bool:
    """Whether noise could round *value* otherwise, or it is no number."""
    scaled = value * 10**EXACT_DECIMALS
    noise = NOISE * max(1.0, abs(value)) * 10**EXACT_DECIMALS
    return not abs(scaled % 1 - 0.5) > noise
