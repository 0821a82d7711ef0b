"""How fast a run is of late: queries by the times that their records carry, tokens by what is seen to come.

So queries have a pace at the first look, and tokens one while no query has ended yet.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tpo.types import Trajectory, Usage

LATELY = 100
"""Queries that the pace is taken of: enough to be calm, few enough to follow a server that slows down."""

LEAST = 1.0
"""Seconds below which no pace is told."""

WINDOW = 30.0
"""Seconds over which tokens are seen to come; half of it must have passed."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Queries ended and tokens written, a second; None where that is not known."""

    queries: float | None
    tokens: float | None


@dataclass
class Pace:
    """The ends of the last queries, what was written for them, and what was seen to be written."""

    written: int = 0
    """Tokens, for all queries that have ended."""

    _ends: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=LATELY))
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, trajectory: Trajectory) -> None:
        """Another query has ended."""
        written = sum(trajectory.usage.values(), Usage()).completion_tokens
        self.written += written
        self._ends.append((trajectory.timing.ended, written))

    def mark(self, now: float, under_way: int) -> None:
        """*under_way* tokens have been written for queries that have not ended; all that is there is read."""
        self._marks.append((now, self.written + under_way))
        while now - self._marks[0][0] > WINDOW:
            self._marks.popleft()

    def speed(self, since: float, now: float) -> Speed:
        """Of an invocation that began at *since*."""
        ended, seen = self._ended(since, now), self._seen()
        return Speed(ended.queries, ended.tokens if seen is None else seen)

    def _seen(self) -> float | None:
        """Tokens a second between the first look of the window and the last."""
        if not self._marks:
            return None
        (began, before), (ended, after) = self._marks[0], self._marks[-1]
        return max(after - before, 0) / (ended - began) if ended - began >= WINDOW / 2 else None

    def _ended(self, since: float, now: float) -> Speed:
        ends = [end for end in self._ends if end[0] >= since]
        if not ends:
            return Speed(None, None)
        # A full window begins with an end, which then is no part of what it holds.
        start, counted = (ends[0][0], ends[1:]) if len(ends) == LATELY else (since, ends)
        seconds = now - start
        if seconds < LEAST:
            return Speed(None, None)
        return Speed(len(counted) / seconds, sum(tokens for _, tokens in counted) / seconds)
