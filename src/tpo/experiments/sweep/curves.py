"""Curves of a method: reward, held-out score and cost at each of its places."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from tpo.experiments.sweep.arms import Arm, QueryResult
from tpo.experiments.sweep.costs import SECONDS, CostMeasure
from tpo.report.measures import prompt_share


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
        if not self.spent:
            return CurvePoint(0.0, 0.0, {}, covered=False)
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
    cached = result.cached[step] if result.cached else 0.0
    spent = measure.of(result.read[step], result.written[step], result.calls[step], cached)
    for role in measure.roles.keys() & result.by_role.keys():
        read, written, cached = result.by_role[role][step]
        spent += measure.roles[role].of(read, written, 0, cached) - measure.of(read, written, 0, cached)
    return spent


def cost_of_samples(result: QueryResult, measure: CostMeasure, n: float) -> float:
    """Return the cost of *n* of a query's first samples: their prompts, and *n* parts of the texts."""
    share = prompt_share(result.sample_requests, n, result.samples)
    written = result.sample_written * n / result.samples
    return measure.of(share * result.sample_read, written, n, share * result.sample_cached)


def cost_of_run(result: QueryResult, measure: CostMeasure, depth: int) -> float:
    """Return the cost of a whole query of *depth* iterations."""
    return result.seconds if measure == SECONDS else cost_at(result, measure, depth)


def method_curve(arm: Arm, arms: Sequence[Arm], queries: Sequence[str], measure: CostMeasure) -> RewardCurve:
    """Return the curve of the method of *arm* by step.

    Of seconds it goes through those of *arms* that differ in D alone: the end of a step has no time of its
    own.
    """
    if measure != SECONDS:
        return step_curve(arm, queries, measure)
    same = [each for each in arms if (each.reward, each.n) == (arm.reward, arm.n)]
    firsts = [each for each in same if each.depth == 0 and each.sampling_key == arm.sampling_key]
    own = [each for each in same if each.depth and each.method_name == arm.method_name]
    return arms_curve([(float(each.depth), each) for each in (*firsts[:1], *own)], queries, measure)


def sample_curve(pool: Arm, arms: Sequence[Arm], queries: Sequence[str], measure: CostMeasure) -> RewardCurve:
    """Return the curve of best-of-n by n; of seconds through the best-of-N runs among *arms*."""
    if measure != SECONDS:
        return best_of_n_curve(pool, queries, measure)
    own = [
        each
        for each in arms
        if each.depth == 0 and (each.reward, each.sampling_key) == (pool.reward, pool.sampling_key)
    ]
    unique = {each.n: each for each in own}.values()
    return arms_curve([(float(each.n), each) for each in unique], queries, measure)


def arms_curve(
    arms: Sequence[tuple[float, Arm]], queries: Sequence[str], measure: CostMeasure
) -> RewardCurve:
    """Return the curve through the answers of *arms*, each with its place, over the *queries* of all."""
    shared = [query for query in queries if all(query in arm.results for _, arm in arms)]
    if not shared:
        return RewardCurve((), (), {})
    costs = [
        fmean(cost_of_run(arm.results[query], measure, arm.depth) for query in shared) for _, arm in arms
    ]
    order = sorted(range(len(arms)), key=costs.__getitem__)
    rows = {query: [arms[index][1].results[query] for index in order] for query in shared}
    return RewardCurve(
        places=tuple(arms[index][0] for index in order),
        spent=tuple(costs[index] for index in order),
        reached={query: tuple(row.answer for row in of) for query, of in rows.items()},
        checked=_complete(
            {q: tuple(r.check[-1] for r in of if r.check) for q, of in rows.items()}, len(arms)
        ),
    )


def best_of_n_curve(arm: Arm, queries: Sequence[str], measure: CostMeasure) -> RewardCurve:
    """Return the curve of best-of-n from the first samples of *arm* over *queries*."""
    results = [arm.results[query] for query in queries]
    places = tuple(float(n) for n in range(1, arm.pool_size + 1))
    spent = tuple(fmean(cost_of_samples(result, measure, n) for result in results) for n in places)
    size = len(places)
    reached = {query: arm.results[query].best_of[:size] for query in queries}
    checked = {query: arm.results[query].check_best_of[:size] for query in queries}
    return RewardCurve(places, spent, reached, _complete(checked, size))


def step_curve(arm: Arm, queries: Sequence[str], measure: CostMeasure) -> RewardCurve:
    """Return the curve of *arm* by step over *queries*."""
    steps = range(arm.depth + 1)
    spent = tuple(fmean(cost_at(arm.results[query], measure, step) for query in queries) for step in steps)
    checked = {query: arm.results[query].check for query in queries}
    reached = {query: arm.results[query].best for query in queries}
    return RewardCurve(tuple(map(float, steps)), spent, reached, _complete(checked, len(steps)))


def _complete(checked: dict[str, tuple[float, ...]], size: int) -> dict[str, tuple[float, ...]]:
    """Return *checked* if every query has *size* values, else nothing."""
    return checked if all(len(values) == size for values in checked.values()) else {}
