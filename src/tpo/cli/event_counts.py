"""Counting a run's events: how far it is, how good, how fast."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tpo.events import (
    CallRetried,
    CandidateScored,
    Event,
    LimitChanged,
    QueryEnded,
    QueryStarted,
    RunStarted,
    Sampled,
)
from tpo.methods.method import Method
from tpo.runs.summary import Tally
from tpo.types import Trajectory, Usage

WINDOW = 20.0
"""Seconds that speed is measured over: long enough to be calm, short enough to forget a resumed start."""


def completions_per_query(method: Method) -> int:
    """Return what a query takes when nothing ends it early."""
    return method.cost(method.sample_size, method.max_iterations).completions


@dataclass
class EventCounts:
    """A listener that counts. *weight* is the completions that a query takes."""

    weight: int
    clock: Callable[[], float] = time.monotonic
    total: int | None = None
    finished: int = 0
    failed: int = 0
    read: int = 0
    written: int = 0
    """Tokens of the policy, prompts and replies."""
    retries: int = 0
    retry: str | None = None
    limits: dict[str, int] = field(default_factory=dict)
    """Requests in flight that each server of the policy is given at most, where that has changed."""
    _totals: Tally = field(default_factory=Tally)
    _running: dict[str, int] = field(default_factory=dict)
    _marks: deque[tuple[float, int, int, float]] = field(default_factory=deque)

    def __call__(self, event: Event) -> None:
        """Count *event*."""
        match event:
            case RunStarted():
                # What failed earlier is tried again, so it is not done.
                self.total, self.finished = event.total, event.finished
            case QueryStarted():
                self._running[event.query.id] = 0
            case Sampled():
                self._sampled(event)
            case QueryEnded():
                self._ended(event.trajectory)
            case CallRetried():
                self.retries, self.retry = self.retries + 1, event.reason
            case LimitChanged():
                self.limits[event.server] = event.limit
                return
            case CandidateScored():
                self.retry = None
                return
            case _:
                return
        self._mark()

    @property
    def running(self) -> int:
        """Queries in flight."""
        return len(self._running)

    @property
    def done(self) -> int:
        """Queries that ended, well or not."""
        return self.finished + self.failed

    @property
    def mean_best(self) -> tuple[float, ...]:
        """By step, the mean reward of the pool's best over the queries that ended under these eyes."""
        by_step = self._totals.summary(0.0).by_step
        return tuple(row.best_mean for row in by_step if row.best_mean is not None)

    @property
    def work(self) -> float:
        """Queries done, those in flight by their share."""
        return self.done + sum(min(seen / self.weight, 1.0) for seen in self._running.values())

    @property
    def tokens_per_second(self) -> tuple[float, float] | None:
        """Tokens read and tokens written a second, of late."""
        seconds, read, written, _ = self._lately()
        return (read / seconds, written / seconds) if seconds else None

    @property
    def seconds_left(self) -> float | None:
        """At the speed of late; None while that or the end is unknown."""
        seconds, _, _, work = self._lately()
        if self.total is None or not seconds or work <= 0:
            return None
        return (self.total - self.work) * seconds / work

    def _sampled(self, event: Sampled) -> None:
        self.read += event.completion.usage.prompt_tokens
        self.written += event.completion.usage.completion_tokens
        self.retry = None
        if event.scope.query in self._running:
            self._running[event.scope.query] += 1

    def _ended(self, trajectory: Trajectory) -> None:
        if self._running.pop(trajectory.query.id, None) is None:  # another process ran it
            usage = sum(trajectory.usage.values(), Usage())
            self.read += usage.prompt_tokens
            self.written += usage.completion_tokens
        self._totals.add(trajectory)
        if trajectory.status == "failed":
            self.failed += 1
        else:
            self.finished += 1

    def _mark(self) -> None:
        now = self.clock()
        # One mark a quarter of a second is enough for a speed, whatever the rate of events.
        if not self._marks or now - self._marks[-1][0] >= WINDOW / 80:
            self._marks.append((now, self.read, self.written, self.work))
        while len(self._marks) > 1 and now - self._marks[0][0] > WINDOW:
            self._marks.popleft()

    def _lately(self) -> tuple[float, int, int, float]:
        """Seconds, tokens read, tokens written and work since the oldest mark of the window."""
        if not self._marks:
            return 0.0, 0, 0, 0.0
        then, read, written, work = self._marks[0]
        return max(self.clock() - then, 0.0), self.read - read, self.written - written, self.work - work
