"""Estimates of the scheduler: sequences that run in the servers, tokens that queries have still to write."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tpo.methods.method import Method
from tpo.types import Completion, Scope

Arrival = tuple[float, Completion]
"""A completion, and when it arrived."""

TOGETHER = 0.01
"""Share of a call's duration within which completions count as arrived together."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that a method makes of each query, and its number of samples."""

    step: int
    phase: str
    samples: int


def planned_calls(method: Method) -> list[PlannedCall]:
    """Return the calls of one query in order; all that a scheduler asks of a method."""
    n, calls = method.sample_size, method.step_calls(method.sample_size)
    later = [
        PlannedCall(step, call.phase, call.completions)
        for step in range(1, method.max_iterations + 1)
        for call in calls
    ]
    return [PlannedCall(0, "sample", n), *later]


@dataclass(slots=True)
class _Mean:
    total: float = 0.0
    count: float = 0.0

    def add(self, value: float, weight: float = 1.0) -> None:
        self.total += value
        self.count += weight

    @property
    def value(self) -> float:
        return self.total / self.count if self.count else 1.0


class Forecast:
    """Tokens that queries in flight have still to write, each of them making the *planned* calls.

    A query whose replies were twice as long as those of others at the same calls is expected to go on so.
    """

    def __init__(self, planned: Sequence[PlannedCall]) -> None:
        self._planned = planned
        self._places: dict[tuple[int, str], int] = {}
        for place, call in enumerate(planned):
            self._places.setdefault((call.step, call.phase), place)
        self._means: defaultdict[str, _Mean] = defaultdict(_Mean)
        self._all = _Mean()
        self._own: defaultdict[str, _Mean] = defaultdict(_Mean)
        self._left: dict[str, float] = {}
        self.left = 0.0
        """Of all queries in flight together, every sample counted."""

    def place(self, scope: Scope) -> int:
        """Return how many calls of its query come before the one at *scope*.

        A call that was not planned counts as the first of its step.
        """
        found = self._places.get((scope.step, scope.phase))
        return found if found is not None else sum(call.step < scope.step for call in self._planned)

    def add(self, scope: Scope, tokens: int, samples: int) -> None:
        """Count the call at *scope*, which brought *tokens* in all its *samples*."""
        mean = tokens / samples
        self._means[scope.phase].add(mean)
        self._all.add(mean)
        self._own[scope.query].add(mean, self._means[scope.phase].value)

    def expect(self, scope: Scope) -> float:
        """Return the tokens of the chain of calls that is left of a query whose call at *scope* comes now.

        Infinite before its first samples, since it may be as long as any.
        """
        calls, own = self._planned[self.place(scope) :], self._own[scope.query].value
        self._replace(scope.query, own * sum(self._mean(call) * call.samples for call in calls))
        return own * sum(map(self._mean, calls)) if scope.step else math.inf

    def forget(self, query: str) -> None:
        """Expect nothing more of *query*, which has ended."""
        self._replace(query, 0.0)
        del self._left[query]
        self._own.pop(query, None)

    def _mean(self, call: PlannedCall) -> float:
        return self._means.get(call.phase, self._all).value

    def _replace(self, query: str, left: float) -> None:
        self.left += left - self._left.get(query, 0.0)
        self._left[query] = left


class Load:
    """Sequences that run in the servers, as far as a client can tell.

    A request with n brings all samples when the longest is written, and by then the others have left the
    batch. So a sample of such a call counts by the share of the time in which it runs, learned from the
    lengths of those that came; one that is delivered as soon as it is finished counts whole.
    """

    def __init__(self) -> None:
        self._single = 0
        self._many = 0
        self._shares, self._calls = 1.0, 1

    @property
    def samples(self) -> int:
        """Samples asked for that have not arrived."""
        return self._single + self._many

    @property
    def now(self) -> float:
        """Sequences that run, on average."""
        return self._single + self._many * self._shares / self._calls

    def add(self, samples: int, of: int) -> None:
        """Count *samples* more, or fewer, of a call for *of*."""
        if of == 1:
            self._single += samples
        else:
            self._many += samples

    def learn(self, begun: float, arrived: list[Arrival]) -> None:
        """Learn from a call that began at *begun* and brought *arrived*."""
        if len(arrived) < 2:
            return
        (first, _), (last, _) = arrived[0], arrived[-1]
        lengths = _lengths([completion for _, completion in arrived])
        together = last - first <= TOGETHER * (last - begun)
        self._shares += sum(lengths) / (len(lengths) * max(lengths)) if together else 1.0
        self._calls += 1


def _lengths(completions: list[Completion]) -> list[int]:
    """Return lengths in tokens where each one's are known, else in characters; at least 1."""
    tokens = [completion.usage.completion_tokens for completion in completions]
    return tokens if all(tokens) else [max(1, len(completion.text)) for completion in completions]
