"""Curves of a method: reward, held-out score and cost at each of its places."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from tpo.experiments.sweep.arms import Arm, QueryResult
from tpo.experiments.sweep.costs import CostMeasure


@dataclass(frozen=True, slots=True)
class RewardCurve:
    """Reward by cost.

    Attributes:
        places: numbers of samples (best-of-n) or of steps.
        spent: cost of the mean query at each place, ascending.
        reached: reward of each query at each place.
        checked: held-out score of each query at each place; empty if one of them has none.
    """

    places: tuple[float, ...]
    spent: tuple[float, ...]
    reached: Mapping[str, tuple[float, ...]]
    checked: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def at(self, budget: float) -> CurvePoint:
        """Return the point that costs *budget*; the nearest end if the curve does not cover it."""
        right = bisect_right(self.spent, budget)
        if right == 0 or right == len(self.spent):
            end = 0 if right == 0 else len(self.spent) - 1
            covered = self.spent[end] == budget
            return self._between(end, end, 0.0, covered=covered)
        below, above = self.spent[right - 1], self.spent[right]
        return self._between(right - 1, right, (budget - below) / (above - below), covered=True)

    def _between(self, left: int, right: int, share: float, *, covered: bool) -> CurvePoint:
        def interpolated(values: Sequence[float]) -> float:
            return values[left] + share * (values[right] - values[left])

        reached = {query: interpolated(values) for query, values in self.reached.items()}
        checked = {query: interpolated(values) for query, values in self.checked.items()}
        return CurvePoint(interpolated(self.places), interpolated(self.spent), reached, covered, checked)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point on a curve; *covered* is False if the curve ends before the requested budget."""

    place: float
    spent: float
    reached: Mapping[str, float]
    covered: bool
    checked: Mapping[str, float] = field(default_factory=dict)


def cost_at(result: QueryResult, measure: CostMeasure, step: int) -> float:
    """Return the cost of a query up to the end of *step*."""
    return measure.of(result.read[step], result.written[step], result.calls[step])


def best_of_n_curve(arm: Arm, queries: Sequence[str], measure: CostMeasure) -> RewardCurve:
    """Return the curve of best-of-n from the first samples of *arm* over *queries*."""
    results = [arm.results[query] for query in queries]
    read = fmean(result.sample_read for result in results)
    written = fmean(result.sample_written for result in results)
    places = tuple(float(n) for n in range(1, arm.pool_size + 1))
    spent = tuple(measure.of(read, written * n / arm.n, n) for n in places)
    size = len(places)
    reached = {query: arm.results[query].best_of[:size] for query in queries}
    checked = {query: arm.results[query].check_best_of[:size] for query in queries}
    return RewardCurve(places, spent, reached, _complete(checked))


def step_curve(arm: Arm, queries: Sequence[str], measure: CostMeasure) -> RewardCurve:
    """Return the curve of *arm* by step over *queries*."""
    steps = range(arm.depth + 1)
    spent = tuple(fmean(cost_at(arm.results[query], measure, step) for query in queries) for step in steps)
    checked = {query: arm.results[query].check for query in queries}
    reached = {query: arm.results[query].best for query in queries}
    return RewardCurve(tuple(map(float, steps)), spent, reached, _complete(checked))


def _complete(checked: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    return checked if all(checked.values()) else {}
