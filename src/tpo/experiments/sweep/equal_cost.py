"""Comparison of methods at equal tokens: the reward of a second method at the cost of a first one.

The *curve* of a method gives, at each of its places, the reward of every query and the tokens spent on the
mean query. Between two places it is interpolated linearly; it is not extrapolated.

- **best-of-n**: place n is the expected best of n of the m first samples, drawn without replacement
  (:func:`tpo.report.statistics.expected_best`), so one pool gives the whole curve without further calls. Its
  cost is one prompt and n/m of the completion tokens.
- **a method with iterations**: place s is the best of the pool after s iterations. Its cost is all prompt and
  completion tokens up to then, including critiques.

Both kinds of budget are the cost of the first method on the mean query.

- **mean**: all queries stop at the same place, where the mean cost equals the budget; single queries may cost
  more or less. The fraction between two places is the same for all queries.
- **cap**: no query of either method costs more than the budget: each stops at its last place within it.

Comparisons are paired by query. A curve that ends before the budget is not compared.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import floor
from statistics import fmean
from typing import Any, Literal, NamedTuple

from tpo.experiments.sweep.arms import Arm, QueryResult, largest_pools
from tpo.report.statistics import PairedComparison, compare_paired

Price = Literal["all", "written"]
"""Prompt and completion tokens, or completion tokens only: the cost of decoding when prompts are cached."""

PRICES: tuple[Price, ...] = ("all", "written")

Budget = Literal["mean", "cap"]
"""Kind of budget: for the mean query, or a cap for every query."""


@dataclass(frozen=True, slots=True)
class RewardCurve:
    """Reward by cost.

    Attributes:
        places: numbers of samples (best-of-n) or of steps.
        spent: tokens spent on the mean query at each place, ascending.
        reached: reward of each query at each place.
    """

    places: tuple[float, ...]
    spent: tuple[float, ...]
    reached: Mapping[str, tuple[float, ...]]

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
        return CurvePoint(interpolated(self.places), interpolated(self.spent), reached, covered)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point on a curve; *covered* is False if the curve ends before the requested budget."""

    place: float
    spent: float
    reached: Mapping[str, float]
    covered: bool


@dataclass(frozen=True, slots=True)
class EqualTokensComparison:
    """Comparison of *first* minus *second* at the cost of *first*.

    Attributes:
        first: the arm whose cost is the budget.
        second: the arm of the other curve, or ``best-of-n``.
        reward: the guiding reward of both.
        price: kind of tokens that count as cost.
        kind: kind of the budget.
        budget: cost of *first* on the mean query.
        spent: cost of *second* on the mean query.
        place: place of *second* on its curve on the mean query: n of best-of-n, else the step.
        covered: the curve of *second* reaches the budget.
        needed: for best-of-n, the number of samples that the budget pays for, even beyond the pool; else
            None.
        paired: the paired difference; None if the curve ends before the budget.
    """

    first: str
    second: str
    reward: str
    price: Price
    kind: Budget
    budget: float
    spent: float
    place: float
    covered: bool
    needed: float | None
    paired: PairedComparison | None

    def record(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return asdict(self)


def tokens_spent(result: QueryResult, price: Price, step: int) -> float:
    """Return the cost of a query up to the end of *step*."""
    return result.written[step] + (result.read[step] if price == "all" else 0.0)


def best_of_n_curve(arm: Arm, queries: Sequence[str], price: Price) -> RewardCurve:
    """Return the curve of best-of-n from the first samples of *arm* over *queries*."""
    results = [arm.results[query] for query in queries]
    prompt = fmean(result.sample_read for result in results) if price == "all" else 0.0
    written = fmean(result.sample_written for result in results)
    places = tuple(float(n) for n in range(1, arm.n + 1))
    spent = tuple(prompt + written * n / arm.n for n in places)
    return RewardCurve(places, spent, {query: arm.results[query].best_of for query in queries})


def step_curve(arm: Arm, queries: Sequence[str], price: Price) -> RewardCurve:
    """Return the curve of *arm* by step over *queries*."""
    steps = range(arm.depth + 1)
    spent = tuple(fmean(tokens_spent(arm.results[query], price, step) for query in queries) for step in steps)
    return RewardCurve(tuple(map(float, steps)), spent, {query: arm.results[query].best for query in queries})


def compare_at_equal_tokens(arms: Sequence[Arm]) -> list[EqualTokensComparison]:
    """Compare every arm with iterations with best-of-n of the largest pool and with the other methods.

    Another method is represented by its deepest arm with the same N, whose curve contains the shallower ones.
    Best-of-n is compared at both kinds of budget.
    """
    pools, deepest = largest_pools(arms), deepest_arms(arms)
    found: list[EqualTokensComparison | None] = []
    for arm in (arm for arm in arms if arm.depth):
        own_pools = [pool for pool in pools if pool.reward == arm.reward]
        for price in PRICES:
            found += [_at_mean(arm, pool, price, of_n=True) for pool in own_pools]
            found += [_at_cap(arm, pool, price) for pool in own_pools]
            found += [
                _at_mean(arm, other, price, of_n=False)
                for other in deepest
                if (other.reward, other.n) == (arm.reward, arm.n) and other.method_name != arm.method_name
            ]
    return [comparison for comparison in found if comparison is not None]


class CappedQuery(NamedTuple):
    """A query stopped at a cap: reward *reached*, tokens *spent*, and the *place* where it stopped."""

    reached: float
    spent: float
    place: float


def within_cap(arm: Arm, result: QueryResult, price: Price, cap: float) -> CappedQuery | None:
    """Stop a query of *arm* at the last step, or else at the last first sample, within *cap*.

    First samples cost the prompt once and the query's mean completion each. Returns None if the cap does not
    pay for one sample.
    """
    steps = [step for step in range(arm.depth + 1) if tokens_spent(result, price, step) <= cap]
    if steps:
        return CappedQuery(result.best[steps[-1]], tokens_spent(result, price, steps[-1]), float(steps[-1]))
    return _samples_within(arm, result, price, cap)


def _samples_paid(arm: Arm, result: QueryResult, price: Price, cap: float) -> int:
    """Return how many first samples of a query *cap* pays for, even beyond the pool."""
    prompt = result.sample_read if price == "all" else 0.0
    each = result.sample_written / arm.n
    return max(0, floor((cap - prompt) / each + 1e-9)) if each > 0 else arm.n


def _samples_within(arm: Arm, result: QueryResult, price: Price, cap: float) -> CappedQuery | None:
    count = _samples_paid(arm, result, price, cap)
    if not 1 <= count <= arm.n:
        return None
    prompt = result.sample_read if price == "all" else 0.0
    return CappedQuery(
        result.best_of[count - 1], prompt + result.sample_written * count / arm.n, float(count)
    )


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


def _at_mean(arm: Arm, other: Arm, price: Price, *, of_n: bool) -> EqualTokensComparison | None:
    """Compare *arm* with *other*, or with best-of-n of its pool, at the mean budget."""
    queries = shared_query_ids(arm, other)
    if not queries:
        return None
    budget = _spent(arm, queries, price)
    curve = (best_of_n_curve if of_n else step_curve)(other, queries, price)
    point = curve.at(budget)
    answers = [arm.results[query].answer for query in queries]
    return EqualTokensComparison(
        first=arm.label,
        second=_pool_name(other) if of_n else other.label,
        reward=arm.reward,
        price=price,
        kind="mean",
        budget=budget,
        spent=point.spent,
        place=point.place,
        covered=point.covered,
        needed=_samples_for(budget, curve) if of_n else None,
        paired=compare_paired(answers, [point.reached[query] for query in queries])
        if point.covered
        else None,
    )


def _at_cap(arm: Arm, pool: Arm, price: Price) -> EqualTokensComparison | None:
    """Compare *arm* with best-of-n of *pool* at the cap."""
    queries = shared_query_ids(arm, pool)
    if not queries:
        return None
    cap = _spent(arm, queries, price)
    results = [pool.results[query] for query in queries]
    first = [within_cap(arm, arm.results[query], price, cap) for query in queries]
    second = [_samples_within(pool, result, price, cap) for result in results]
    covered = all(each is not None for each in (*first, *second))
    ends = [CappedQuery(result.best[0], tokens_spent(result, price, 0), float(pool.n)) for result in results]
    ours = [each for each in first if each is not None]
    theirs = [each for each in second if each is not None] if covered else ends
    return EqualTokensComparison(
        first=arm.label,
        second=_pool_name(pool),
        reward=arm.reward,
        price=price,
        kind="cap",
        budget=cap,
        spent=fmean(each.spent for each in theirs),
        place=fmean(each.place for each in theirs),
        covered=covered,
        needed=float(max(_samples_paid(pool, result, price, cap) for result in results)),
        paired=compare_paired(*([each.reached for each in side] for side in (ours, theirs)))
        if covered
        else None,
    )


def _spent(arm: Arm, queries: Sequence[str], price: Price) -> float:
    return fmean(tokens_spent(arm.results[query], price, arm.depth) for query in queries)


def _pool_name(pool: Arm) -> str:
    return f"best-of-n, pool of {pool.label}"


def _samples_for(budget: float, curve: RewardCurve) -> float | None:
    """Return how many samples *budget* pays for at the cost per sample on the *curve* of best-of-n."""
    spent = curve.spent
    price = (spent[-1] - spent[0]) / (len(spent) - 1) if len(spent) > 1 else 0.0
    return 1 + (budget - spent[0]) / price if price > 0 else None
