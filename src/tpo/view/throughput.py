"""Recent throughput of a run: queries by their recorded end times, tokens by observed growth.

So the query rate is known at the first refresh, and the token rate before any query has ended.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tpo.types import Trajectory, Usage

RECENT_QUERIES = 100
"""Queries that the rate is measured over: a smooth rate that still follows a server that slows down."""

MIN_SECONDS = 1.0
"""Minimum seconds of data for a rate."""

WINDOW = 30.0
"""Window of the token rate in seconds; half of it must have passed."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Queries and completion tokens per second; None where unknown."""

    queries: float | None
    tokens: float | None


def written_tokens(trajectory: Trajectory) -> int:
    """Return the completion tokens of *trajectory*."""
    return sum(trajectory.usage.values(), Usage()).completion_tokens


@dataclass
class Throughput:
    """End times and tokens of recent queries, and observed token counts."""

    written: int = 0
    """Completion tokens of all ended queries."""

    _ends: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=RECENT_QUERIES))
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, trajectory: Trajectory, earlier: int = 0) -> None:
        """Add an ended query, whose tokens include *earlier* ones that were added before."""
        written = written_tokens(trajectory) - earlier
        self.written += written
        self._ends.append((trajectory.timing.ended, written))

    def mark(self, now: float, in_flight: int) -> None:
        """Record that *in_flight* tokens were written for queries in flight, at time *now*."""
        self._marks.append((now, self.written + in_flight))
        while now - self._marks[0][0] > WINDOW:
            self._marks.popleft()

    def rates(self, since: float, now: float) -> Rates:
        """Return the rates of the invocation that began at *since*."""
        ended, seen = self._ended(since, now), self._seen()
        return Rates(ended.queries, ended.tokens if seen is None else seen)

    def _seen(self) -> float | None:
        """Return tokens per second between the first and the last observation in the window."""
        if not self._marks:
            return None
        (began, before), (ended, after) = self._marks[0], self._marks[-1]
        return max(after - before, 0) / (ended - began) if ended - began >= WINDOW / 2 else None

    def _ended(self, since: float, now: float) -> Rates:
        ends = [end for end in self._ends if end[0] >= since]
        if not ends:
            return Rates(None, None)
        # A full window begins with an end, which then is no part of what it holds.
        start, counted = (ends[0][0], ends[1:]) if len(ends) == RECENT_QUERIES else (since, ends)
        seconds = now - start
        if seconds < MIN_SECONDS:
            return Rates(None, None)
        return Rates(len(counted) / seconds, sum(tokens for _, tokens in counted) / seconds)
