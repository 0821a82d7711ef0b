"""One method against another at equal tokens: what the other reaches with what the first one spent.

A method's *curve* is, by query, what it has reached at each place of its way, and what it has spent until
then on the mean query. Between two places it is taken as a straight line; at either end it is not carried on.

- **best-of-n**: place n is the expected best of n of the m first samples, drawn without putting back, the
  mean over all subsets of that size (:func:`tpo.report.statistics.expected_best`), so that one pool gives
  the whole curve without a further call. Its price is the prompt once and n parts in m of what was written.
- **a method with iterations**: place s is the best of the pool after s of them; its price is all that was
  read and written until then, critiques included.

There are two budgets, both what the first method spent on the mean query.

- **mean**: the same place for all queries, with a mean spend that equals the budget; single queries spend
  more or less. *t* of the way between two places is the same for all of them.
- **cap**: no query spends more than the budget, on either side: each stops at its last place within it.

Either way the comparison is paired query by query. A curve that ends before the budget is not compared.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import floor
from statistics import fmean
from typing import Any, Literal, NamedTuple

from tpo.experiments.sweep.arms import Arm, Row, widest
from tpo.report.statistics import PairedComparison, compare_paired

Price = Literal["all", "written"]
"""Tokens read and written, or only those written: what decoding costs where prompts are cached."""

PRICES: tuple[Price, ...] = ("all", "written")

Budget = Literal["mean", "cap"]
"""Whether the mean query spends the budget, or no query spends more than that."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What is reached by what is spent: *spent* rises, *reached* has as many values for each query.

    *places* are numbers of samples (best-of-n) or steps.
    """

    places: tuple[float, ...]
    spent: tuple[float, ...]
    reached: Mapping[str, tuple[float, ...]]

    def at(self, budget: float) -> Point:
        """What is reached with *budget*; at the nearest end where it lies outside."""
        right = bisect_right(self.spent, budget)
        if right == 0 or right == len(self.spent):
            end = 0 if right == 0 else len(self.spent) - 1
            covered = self.spent[end] == budget
            return self._between(end, end, 0.0, covered=covered)
        below, above = self.spent[right - 1], self.spent[right]
        return self._between(right - 1, right, (budget - below) / (above - below), covered=True)

    def _between(self, left: int, right: int, share: float, *, covered: bool) -> Point:
        def mixed(values: Sequence[float]) -> float:
            return values[left] + share * (values[right] - values[left])

        reached = {query: mixed(values) for query, values in self.reached.items()}
        return Point(mixed(self.places), mixed(self.spent), reached, covered)


@dataclass(frozen=True, slots=True)
class Point:
    """A place on a curve; not *covered*: the curve ends before the budget that was asked for."""

    place: float
    spent: float
    reached: Mapping[str, float]
    covered: bool


@dataclass(frozen=True, slots=True)
class AtEqualTokens:
    """*first* less *second* at what *first* spent.

    Attributes:
        first: the arm whose tokens are the budget.
        second: the arm of the other curve, or ``best-of-n``.
        reward: the one that guided both.
        price: which tokens.
        kind: of the budget.
        budget: what *first* spent on the mean query.
        spent: what *second* spent on the mean query.
        place: where on the curve *second* stands, on the mean query: n of best-of-n, else the step.
        covered: whether the curve of *second* reaches the budget.
        needed: of best-of-n, how many samples the budget buys, also beyond the pool; else None.
        paired: the difference, query by query; None where the curve ends before the budget.
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
        """In JSON's own types."""
        return asdict(self)


def price_of(row: Row, price: Price, step: int) -> float:
    """What a query of an arm cost until the end of *step*."""
    return row.written[step] + (row.read[step] if price == "all" else 0.0)


def best_of_n(arm: Arm, queries: Sequence[str], price: Price) -> Curve:
    """The curve of best-of-n from the first samples of *arm*, over *queries*."""
    rows = [arm.rows[query] for query in queries]
    prompt = fmean(row.sample_read for row in rows) if price == "all" else 0.0
    written = fmean(row.sample_written for row in rows)
    places = tuple(float(n) for n in range(1, arm.n + 1))
    spent = tuple(prompt + written * n / arm.n for n in places)
    return Curve(places, spent, {query: arm.rows[query].best_of for query in queries})


def by_step(arm: Arm, queries: Sequence[str], price: Price) -> Curve:
    """The curve of *arm* by its steps, over *queries*."""
    steps = range(arm.depth + 1)
    spent = tuple(fmean(price_of(arm.rows[query], price, step) for query in queries) for step in steps)
    return Curve(tuple(map(float, steps)), spent, {query: arm.rows[query].best for query in queries})


def compare_at_equal_tokens(arms: Sequence[Arm]) -> list[AtEqualTokens]:
    """Compare every arm with iterations with best-of-n of the widest pool and with the other methods.

    Of another method the deepest arm of the same N stands for it, since it passes through the others.
    Best-of-n is compared at both budgets.
    """
    pools, deepest = widest(arms), deepest_arms(arms)
    found: list[AtEqualTokens | None] = []
    for arm in (arm for arm in arms if arm.depth):
        own_pools = [pool for pool in pools if pool.reward == arm.reward]
        for price in PRICES:
            found += [_against(arm, pool, price, of_n=True) for pool in own_pools]
            found += [_capped(arm, pool, price) for pool in own_pools]
            found += [
                _against(arm, other, price, of_n=False)
                for other in deepest
                if (other.reward, other.n) == (arm.reward, arm.n) and other.method != arm.method
            ]
    return [comparison for comparison in found if comparison is not None]


class Capped(NamedTuple):
    """A query stopped at a cap: what it *reached* and *spent*, at which *place*."""

    reached: float
    spent: float
    place: float


def within_cap(arm: Arm, row: Row, price: Price, cap: float) -> Capped | None:
    """Stop a query of *arm* at its last step, or first sample, that *cap* pays for.

    First samples cost the prompt once and the query's mean sample each. None where the cap does not pay for
    one sample.
    """
    steps = [step for step in range(arm.depth + 1) if price_of(row, price, step) <= cap]
    if steps:
        return Capped(row.best[steps[-1]], price_of(row, price, steps[-1]), float(steps[-1]))
    return _samples_within(arm, row, price, cap)


def samples_paid(arm: Arm, row: Row, price: Price, cap: float) -> int:
    """Return how many first samples of a query *cap* pays for, also beyond the pool."""
    prompt = row.sample_read if price == "all" else 0.0
    each = row.sample_written / arm.n
    return max(0, floor((cap - prompt) / each + 1e-9)) if each > 0 else arm.n


def _samples_within(arm: Arm, row: Row, price: Price, cap: float) -> Capped | None:
    count = samples_paid(arm, row, price, cap)
    if not 1 <= count <= arm.n:
        return None
    prompt = row.sample_read if price == "all" else 0.0
    return Capped(row.best_of[count - 1], prompt + row.sample_written * count / arm.n, float(count))


def deepest_arms(arms: Sequence[Arm]) -> list[Arm]:
    """Of each method, N and reward the arm with the most iterations; none of those without any."""
    found: dict[tuple[str, str, int], Arm] = {}
    for arm in arms:
        key = (arm.reward, arm.method, arm.n)
        if arm.depth and arm.rows and (key not in found or arm.depth > found[key].depth):
            found[key] = arm
    return list(found.values())


def best_of_n_name(pool: Arm, pools: Sequence[Arm]) -> str:
    """``best-of-n``, with the method it was drawn by where there are several ways to draw."""
    alone = sum(other.reward == pool.reward for other in pools) == 1
    return "best-of-n" if alone else f"best-of-n (as {pool.method})"


def common(first: Arm, second: Arm) -> list[str]:
    """The queries that both have whole, in order."""
    return [query for query in first.rows if query in second.rows]


def _against(arm: Arm, other: Arm, price: Price, *, of_n: bool) -> AtEqualTokens | None:
    queries = common(arm, other)
    if not queries:
        return None
    budget = _spent(arm, queries, price)
    curve = (best_of_n if of_n else by_step)(other, queries, price)
    point = curve.at(budget)
    answers = [arm.rows[query].answer for query in queries]
    return AtEqualTokens(
        first=arm.label,
        second=_pool_name(other) if of_n else other.label,
        reward=arm.reward,
        price=price,
        kind="mean",
        budget=budget,
        spent=point.spent,
        place=point.place,
        covered=point.covered,
        needed=_bought(curve, budget) if of_n else None,
        paired=compare_paired(answers, [point.reached[query] for query in queries])
        if point.covered
        else None,
    )


def _capped(arm: Arm, pool: Arm, price: Price) -> AtEqualTokens | None:
    """Compare *arm* with best-of-n where neither spends more than the budget on any query."""
    queries = common(arm, pool)
    if not queries:
        return None
    cap = _spent(arm, queries, price)
    rows = [pool.rows[query] for query in queries]
    first = [within_cap(arm, arm.rows[query], price, cap) for query in queries]
    second = [_samples_within(pool, row, price, cap) for row in rows]
    covered = all(each is not None for each in (*first, *second))
    ends = [Capped(row.best[0], price_of(row, price, 0), float(pool.n)) for row in rows]
    ours = [each for each in first if each is not None]
    theirs = [each for each in second if each is not None] if covered else ends
    return AtEqualTokens(
        first=arm.label,
        second=_pool_name(pool),
        reward=arm.reward,
        price=price,
        kind="cap",
        budget=cap,
        spent=fmean(each.spent for each in theirs),
        place=fmean(each.place for each in theirs),
        covered=covered,
        needed=float(max(samples_paid(pool, row, price, cap) for row in rows)),
        paired=compare_paired(*([each.reached for each in side] for side in (ours, theirs)))
        if covered
        else None,
    )


def _spent(arm: Arm, queries: Sequence[str], price: Price) -> float:
    return fmean(price_of(arm.rows[query], price, arm.depth) for query in queries)


def _pool_name(pool: Arm) -> str:
    return f"best-of-n, pool of {pool.label}"


def _bought(curve: Curve, budget: float) -> float | None:
    """Return how many samples *budget* buys, each at the price of one more on the *curve* of best-of-n."""
    spent = curve.spent
    price = (spent[-1] - spent[0]) / (len(spent) - 1) if len(spent) > 1 else 0.0
    return 1 + (budget - spent[0]) / price if price > 0 else None
