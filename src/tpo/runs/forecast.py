"""How much each query has still to write, judged by its replies so far and by everybody's."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from tpo.methods.method import Method, PlannedCall
from tpo.types import Phase, Scope


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
    """What is left of the queries under way by *recipe*, in tokens.

    A query whose replies were twice as long as those of others at the same calls is expected to go on so.
    """

    def __init__(self, recipe: Method) -> None:
        step = list(recipe.step_calls(recipe.sample_size))
        self._step = [call.phase for call in step]
        self._calls = [PlannedCall("sample", recipe.sample_size), *(step * recipe.max_iterations)]
        self._means: defaultdict[Phase, _Mean] = defaultdict(_Mean)
        self._all = _Mean()
        self._own: defaultdict[str, _Mean] = defaultdict(_Mean)
        self._left: dict[str, float] = {}
        self.left = 0.0
        """Of all queries under way together, every sample counted."""

    def place(self, scope: Scope) -> int:
        """How many calls of its query come before the one at *scope*."""
        if scope.step == 0:
            return 0
        within = self._step.index(scope.phase) + scope.ordinal if scope.phase in self._step else 0
        return len(self._step) * (scope.step - 1) + 1 + within

    def add(self, scope: Scope, tokens: int, samples: int) -> None:
        """The call at *scope* has brought *tokens* in all its *samples*."""
        mean = tokens / samples
        self._means[scope.phase].add(mean)
        self._all.add(mean)
        self._own[scope.query].add(mean, self._means[scope.phase].value)

    def expect(self, scope: Scope) -> float:
        """The chain that is left of a query whose call at *scope* comes now: a reply after the other.

        Infinite before its first samples, since it may be as long as any.
        """
        calls, own = self._calls[self.place(scope) :], self._own[scope.query].value
        self._replace(scope.query, own * sum(self._mean(it.phase) * it.completions for it in calls))
        return own * sum(self._mean(it.phase) for it in calls) if scope.step else math.inf

    def forget(self, query: str) -> None:
        """*query* has ended."""
        self._replace(query, 0.0)
        del self._left[query]
        self._own.pop(query, None)

    def _mean(self, phase: Phase) -> float:
        return self._means.get(phase, self._all).value

    def _replace(self, query: str, left: float) -> None:
        self.left += left - self._left.get(query, 0.0)
        self._left[query] = left
