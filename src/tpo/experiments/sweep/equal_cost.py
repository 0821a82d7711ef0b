"""Comparison of methods at equal cost: the reward of a second method at the cost of a first one.

The *curve* of a method gives, at each of its places, the reward of every query and the cost of the mean
query; the held-out score too, if every response has one. Between two places it is interpolated linearly; it
is not extrapolated.

- **best-of-n**: place n is the expected best of n of the m first samples, drawn without replacement
  (:func:`tpo.report.statistics.expected_best`), so one pool gives the whole curve without further calls. Its
  cost is one prompt per request, n/m of the completion tokens and n calls. The held-out score is that of the
  sample which the guiding reward selects.
- **a method with iterations**: place s is the best of the pool after s iterations. Its cost is that of all
  calls up to then, including critiques.

Both kinds of budget are the cost of the first method on the mean query.

- **mean**: all queries stop at the same place, where the mean cost equals the budget; single queries may cost
  more or less. The fraction between two places is the same for all queries.
- **cap**: no query of either method costs more than the budget: each stops at its last place within it.

Comparisons are paired by query. A curve that ends before the budget is not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import floor
from statistics import fmean
from typing import Any, Literal, NamedTuple

from tpo.experiments.sweep.arms import Arm, QueryResult, largest_pools
from tpo.experiments.sweep.costs import DEFAULT_COSTS, SECONDS, CostMeasure
from tpo.experiments.sweep.curves import (
    RewardCurve,
    cost_at,
    cost_of_run,
    cost_of_samples,
    method_curve,
    sample_curve,
)
from tpo.report.statistics import PairedComparison, compare_paired

Budget = Literal["mean", "cap"]
"""Kind of budget: for the mean query, or a cap for every query."""


@dataclass(frozen=True, slots=True)
class EqualCostComparison:
    """Comparison of *first* minus *second* at the cost of *first*.

    Attributes:
        first: the arm whose cost is the budget.
        second: the arm of the other curve, or ``best-of-n``.
        reward: the guiding reward of both.
        cost: name of the cost measure.
        unit: its unit.
        kind: kind of the budget.
        budget: cost of *first* on the mean query.
        spent: cost of *second* on the mean query.
        place: place of *second* on its curve on the mean query: n of best-of-n, else the step.
        covered: the curve of *second* reaches the budget.
        needed: for best-of-n, the number of samples that the budget pays for, even beyond the pool; else
            None.
        unpaid: number of queries of which the budget does not pay for one sample. No pool covers them:
            *needed* is None.
        paired: the paired difference; None if the curve ends before the budget.
        held_out: the same of the held-out score; None also without such scores.
    """

    first: str
    second: str
    reward: str
    cost: str
    unit: str
    kind: Budget
    budget: float
    spent: float
    place: float
    covered: bool
    needed: float | None
    paired: PairedComparison | None
    held_out: PairedComparison | None = None
    unpaid: int = 0

    def record(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return asdict(self)


def compare_at_equal_cost(
    arms: Sequence[Arm], measures: Sequence[CostMeasure] = DEFAULT_COSTS
) -> list[EqualCostComparison]:
    """Compare every arm with iterations with best-of-n of the largest pool and with the other methods.

    Another method is represented by its deepest arm with the same N, whose curve contains the shallower ones.
    Best-of-n is compared at both kinds of budget.
    """
    pools, deepest = largest_pools(arms), deepest_arms(arms)
    found: list[EqualCostComparison | None] = []
    for arm in (arm for arm in arms if arm.depth):
        own_pools = [pool for pool in pools if pool.reward == arm.reward]
        for measure in measures:
            found += [_at_mean(arm, pool, arms, measure, of_n=True) for pool in own_pools]
            if measure != SECONDS:  # a part of a run has no time of its own
                found += [_at_cap(arm, pool, measure) for pool in own_pools]
            found += [
                _at_mean(arm, other, arms, measure, of_n=False)
                for other in deepest
                if (other.reward, other.n) == (arm.reward, arm.n) and other.method_name != arm.method_name
            ]
    return [comparison for comparison in found if comparison is not None]


class CappedQuery(NamedTuple):
    """A query stopped at a cap: reward *reached*, cost *spent*, the *place* of the stop, held-out score."""

    reached: float
    spent: float
    place: float
    checked: float | None = None


def within_cap(arm: Arm, result: QueryResult, measure: CostMeasure, cap: float) -> CappedQuery | None:
    """Stop a query of *arm* at the last step, or else at the last first sample, within *cap*.

    First samples cost the prompt once per request and the query's mean completion each. Returns None if the
    cap does not pay for one sample.
    """
    steps = [step for step in range(arm.depth + 1) if cost_at(result, measure, step) <= cap]
    if not steps:
        return _samples_within(arm, result, measure, cap)
    step = steps[-1]
    checked = result.check[step] if result.check else None
    return CappedQuery(result.best[step], cost_at(result, measure, step), float(step), checked)


def _samples_paid(arm: Arm, result: QueryResult, measure: CostMeasure, cap: float) -> int:
    """Return how many first samples of a query *cap* pays for, even beyond the pool."""
    prompt = cost_of_samples(result, measure, 0)
    each = cost_of_samples(result, measure, 1) - prompt
    return max(0, floor((cap - prompt) / each + 1e-9)) if each > 0 else arm.n


def _samples_within(arm: Arm, result: QueryResult, measure: CostMeasure, cap: float) -> CappedQuery | None:
    count = _samples_paid(arm, result, measure, cap)
    if not 1 <= count <= len(result.best_of):
        return None
    spent = cost_of_samples(result, measure, count)
    checked = result.check_best_of[count - 1] if result.check_best_of else None
    return CappedQuery(result.best_of[count - 1], spent, float(count), checked)


def deepest_arms(arms: Sequence[Arm]) -> list[Arm]:
    """Return, for each method, N and reward, the arm with the most iterations; only arms with iterations."""
    found: dict[tuple[str, str, int], Arm] = {}
    for arm in arms:
        key = (arm.reward, arm.method_name, arm.n)
        if arm.depth and arm.results and (key not in found or arm.depth > found[key].depth):
            found[key] = arm
    return list(found.values())


def best_of_n_name(pool: Arm, pools: Sequence[Arm]) -> str:
    """Return ``best-of-n``, with the method of the first samples if there are several pools."""
    unique = sum(other.reward == pool.reward for other in pools) == 1
    return "best-of-n" if unique else f"best-of-n (as {pool.method_name})"


def shared_query_ids(first: Arm, second: Arm) -> list[str]:
    """Return the queries that both arms have completed, in order."""
    return [query for query in first.results if query in second.results]


def _at_mean(
    arm: Arm, other: Arm, arms: Sequence[Arm], measure: CostMeasure, *, of_n: bool
) -> EqualCostComparison | None:
    """Compare *arm* with *other*, or with best-of-n of its pool, at the mean budget."""
    queries = shared_query_ids(arm, other)
    if not queries:
        return None
    budget = _spent(arm, queries, measure)
    curve = (sample_curve if of_n else method_curve)(other, arms, queries, measure)
    if not curve.places:
        return None
    point = curve.at(budget)
    answers = [arm.results[query].answer for query in queries]
    unpaid = len(queries) if of_n and budget < curve.spent[0] else 0
    return EqualCostComparison(
        first=arm.label,
        second=_pool_name(other) if of_n else other.label,
        reward=arm.reward,
        cost=measure.name,
        unit=measure.unit,
        kind="mean",
        budget=budget,
        spent=point.spent,
        place=point.place,
        covered=point.covered,
        needed=_samples_for(budget, curve) if of_n and not unpaid and measure != SECONDS else None,
        paired=compare_paired(answers, [point.reached[query] for query in queries])
        if point.covered
        else None,
        held_out=_compare_checked(
            [arm.results[query].check[-1] if arm.results[query].check else None for query in queries],
            [point.checked.get(query) for query in queries],
        )
        if point.covered
        else None,
        unpaid=unpaid,
    )


def _at_cap(arm: Arm, pool: Arm, measure: CostMeasure) -> EqualCostComparison | None:
    """Compare *arm* with best-of-n of *pool* at the cap."""
    queries = shared_query_ids(arm, pool)
    if not queries:
        return None
    cap = _spent(arm, queries, measure)
    results = [pool.results[query] for query in queries]
    first = [within_cap(arm, arm.results[query], measure, cap) for query in queries]
    second = [_samples_within(pool, result, measure, cap) for result in results]
    covered = all(each is not None for each in (*first, *second))
    paid = [_samples_paid(pool, result, measure, cap) for result in results]
    unpaid = sum(each is None or not count for each, count in zip(first, paid, strict=True))
    ends = [CappedQuery(result.best[0], cost_at(result, measure, 0), float(pool.n)) for result in results]
    ours = [each for each in first if each is not None]
    theirs = [each for each in second if each is not None] if covered else ends
    return EqualCostComparison(
        first=arm.label,
        second=_pool_name(pool),
        reward=arm.reward,
        cost=measure.name,
        unit=measure.unit,
        kind="cap",
        budget=cap,
        spent=fmean(each.spent for each in theirs),
        place=fmean(each.place for each in theirs),
        covered=covered,
        needed=None if unpaid else float(max(paid)),
        paired=compare_paired(*([each.reached for each in side] for side in (ours, theirs)))
        if covered
        else None,
        held_out=_compare_checked(*([each.checked for each in side] for side in (ours, theirs)))
        if covered
        else None,
        unpaid=unpaid,
    )


def _compare_checked(
    first: Sequence[float | None], second: Sequence[float | None]
) -> PairedComparison | None:
    """Compare held-out scores; None if one of them is missing."""
    ours, theirs = ([each for each in side if each is not None] for side in (first, second))
    complete = len(ours) == len(first) and len(theirs) == len(second)
    return compare_paired(ours, theirs) if complete else None


def _spent(arm: Arm, queries: Sequence[str], measure: CostMeasure) -> float:
    return fmean(cost_of_run(arm.results[query], measure, arm.depth) for query in queries)


def _pool_name(pool: Arm) -> str:
    return f"best-of-n, pool of {pool.label}"


def _samples_for(budget: float, curve: RewardCurve) -> float | None:
    """Return how many samples *budget* pays for at the cost per sample on the *curve* of best-of-n."""
    spent = curve.spent
    price = (spent[-1] - spent[0]) / (len(spent) - 1) if len(spent) > 1 else 0.0
    return 1 + (budget - spent[0]) / price if price > 0 else None
