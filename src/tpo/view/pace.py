"""How fast a run is of late, by the times that its trajectories carry: known at the first look."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tpo.types import Trajectory, Usage

LATELY = 100
"""Queries that the pace is taken of: enough to be calm, few enough to follow a server that slows down."""

LEAST = 1.0
"""Seconds below which no pace is told."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Queries ended and tokens written, a second."""

    queries: float
    tokens: float


@dataclass
class Pace:
    """The ends of the last queries, and what was written for them."""

    _ends: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=LATELY))

    def add(self, trajectory: Trajectory) -> None:
        """Another query has ended."""
        written = sum(trajectory.usage.values(), Usage()).completion_tokens
        self._ends.append((trajectory.timing.ended, written))

    def speed(self, since: float, now: float) -> Speed | None:
        """Of an invocation that began at *since*; None where no query has ended in it yet."""
        ends = [end for end in self._ends if end[0] >= since]
        if not ends:
            return None
        # A full window begins with an end, which then is no part of what it holds.
        start, counted = (ends[0][0], ends[1:]) if len(ends) == LATELY else (since, ends)
        seconds = now - start
        if seconds < LEAST:
            return None
        return Speed(len(counted) / seconds, sum(tokens for _, tokens in counted) / seconds)
