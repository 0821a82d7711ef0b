"""Estimates with their uncertainty: means and ratios over queries, shares, best-of-n, paired comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tpo.errors import MissingExtra
from tpo.report.bootstrap import (
    NORMAL,
    SEED,
    STUDENTISED_BELOW,
    Estimate,
    difference_of_ratios,
    ratio,
    resamples,
    sorted_rows,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    try:
        import numpy as np
    except ImportError as error:  # pragma: no cover - the tests' environment has it
        raise MissingExtra("numpy", "report", "tpo report") from error

FLIPS = 10_000
EXACT_UP_TO = 13
"""Queries up to which every sign pattern is tried: 2^13 is fewer than FLIPS."""

BINS = 40
"""Maximum bars of a histogram."""


@dataclass(frozen=True, slots=True)
class Paired:
    """One run against another on the same queries: first less second."""

    queries: int
    difference: Estimate
    wins: int
    ties: int
    losses: int
    p: float
    """Two-sided, by swapping the two values of a query: exact for few queries, else 10,000 draws."""

    def within(self, least: float, most: float) -> Paired:
        """Return the comparison with its interval cut to the values that are possible."""
        return replace(self, difference=self.difference.within(least, most))

    def scaled(self, factor: float) -> Paired:
        """Return the comparison in another unit."""
        by = self.difference
        low, high = (None if bound is None else factor * bound for bound in (by.low, by.high))
        return replace(self, difference=Estimate(factor * by.value, low, high, by.skewed))


Rows = Sequence[Sequence[float]]


def bootstrap_ratios(numerators: Rows, denominators: Rows, *, seed: int = SEED) -> list[Estimate | None]:
    """For each column, the sum of numerators over the sum of denominators, by resampling whole queries.

    A mean over samples is such a ratio: sums of rewards over counts. Resampling queries, not samples, keeps
    the samples of a query together, which are alike. Intervals are studentised below
    :data:`STUDENTISED_BELOW` queries, and percentile intervals from there on.

    Args:
        numerators: Q rows of K values.
        denominators: the same shape, none negative; a column of zeros gives None.
        seed: of the draws.
    """
    above, below = np.asarray(numerators, float), np.asarray(denominators, float)
    if above.size == 0:
        return []
    columns = above.shape[1]
    rows = sorted_rows(np.hstack([above, below]))
    above, below = rows[:, :columns], rows[:, columns:]
    counted = (below > 0).sum(axis=0)
    if counted.min() < STUDENTISED_BELOW:
        rows = np.hstack([rows, above * above, above * below, below * below])
    draws = np.vstack([times @ rows for times in resamples(len(rows), seed, rows.shape[1])])
    return [
        ratio(above[:, k], below[:, k], draws[:, k::columns]) if counted[k] else None for k in range(columns)
    ]


def bootstrap_means(rows: Rows, *, seed: int = SEED) -> list[Estimate | None]:
    """The mean of each column, by resampling Q rows."""
    return bootstrap_ratios(rows, [[1.0] * len(row) for row in rows], seed=seed)


def wilson(means: Sequence[float], repeats: int = 1) -> Estimate:
    """The mean of shares with Wilson's interval, which stays honest near 0 and 1.

    With one repeat (seed) *means* are 0 or 1 and their number is the sample size. With several, a mean is the
    share of a query's repeats, and the sample size is the one that a proportion of the same variance has:
    between the number of queries (repeats of a query agree) and that of all repeats (they do not).

    Raises:
        ValueError: there are none.
    """
    if not means:
        raise ValueError("a share needs at least one value")
    count, value = len(means), math.fsum(means) / len(means)
    size = float(count)
    if repeats > 1 and count > 1:
        variance = math.fsum((mean - value) ** 2 for mean in means) / (count - 1)
        size = min(max(value * (1 - value) / variance * count, count), count * repeats) if variance else count
    shrunk = 1 + NORMAL**2 / size
    center = (value + NORMAL**2 / (2 * size)) / shrunk
    half = NORMAL * math.sqrt(value * (1 - value) / size + (NORMAL / (2 * size)) ** 2) / shrunk
    return Estimate(value, min(max(center - half, 0.0), value), max(min(center + half, 1.0), value))


def expected_best(rewards: Rows) -> list[list[float]]:
    r"""For each query, the expected best of n of its samples drawn without replacement, n = 1 to its size.

    With m rewards in rising order r_1 … r_m it is the sum over i of r_i C(i-1, n-1) / C(m, n): the unbiased
    estimate of best-of-n from one pool (as pass@k is of Chen et al. 2021, arXiv 2107.03374, section 2.1).
    """
    found: dict[int, list[float]] = {}
    for size in {len(row) for row in rewards}:
        places = [place for place, row in enumerate(rewards) if len(row) == size]
        pools = np.sort(np.asarray([rewards[place] for place in places], float), axis=1)
        best = np.column_stack([pools[:, n - 1 :] @ _best_weights(size, n) for n in range(1, size + 1)])
        found |= dict(zip(places, best.tolist(), strict=True))
    return [found[place] for place in range(len(rewards))]


def paired(first: Sequence[float], second: Sequence[float], *, seed: int = SEED) -> Paired:
    """Compare *first* with *second*, entry by entry the same query, by their means.

    Raises:
        ValueError: they differ in length, or are empty.
    """
    return paired_ratios(first, second, [1.0] * len(first), [1.0] * len(second), seed=seed)


def paired_ratios(
    first: Sequence[float],
    second: Sequence[float],
    first_weights: Sequence[float],
    second_weights: Sequence[float],
    *,
    seed: int = SEED,
) -> Paired:
    """Compare two ratios of sums over the same queries: that of *first* to its weights, and of *second*.

    Value, interval and p are of one statistic, the difference of the ratios: the interval resamples queries,
    p swaps the two sides of a query. A query is won by its own ratio. Equal weights make it a difference of
    means.

    Raises:
        ValueError: they differ in length, or are empty.
    """
    if not len(first) == len(second) == len(first_weights) == len(second_weights) or not first:
        raise ValueError("a paired comparison needs as many values of one as of the other, and at least one")
    rows = sorted_rows(np.column_stack([first, first_weights, second, second_weights]).astype(float))
    own = rows[:, 0] * rows[:, 3] - rows[:, 2] * rows[:, 1]
    return Paired(
        queries=len(rows),
        difference=difference_of_ratios(rows, seed),
        wins=int((own > 0).sum()),
        ties=int((own == 0).sum()),
        losses=int((own < 0).sum()),
        p=_swap_p(rows, seed),
    )


def paired_shares(first: Sequence[float], second: Sequence[float]) -> Paired:
    """Compare two 0/1 measures of the same queries.

    The interval is the adjusted Wald interval of Bonett and Price (2012), which keeps a width where no query
    differs, or all differ one way.

    Raises:
        ValueError: they differ in length, or are empty.
    """
    found = paired(first, second)
    size, gained, lost = found.queries + 2, found.wins + 1, found.losses + 1
    center = (gained - lost) / size
    half = NORMAL * math.sqrt(((gained + lost) / size - center**2) / size)
    value = found.difference.value
    low, high = max(min(center - half, value), -1.0), min(max(center + half, value), 1.0)
    return Paired(found.queries, Estimate(value, low, high), found.wins, found.ties, found.losses, found.p)


def histogram(values: Rows) -> tuple[list[float], list[list[float]]]:
    """Edges that all *values* share, and for each of them the share of its entries between two edges."""
    together = np.concatenate([np.asarray(row, float) for row in values])
    edges = np.histogram_bin_edges(together, bins="auto")
    if len(edges) - 1 > BINS:
        edges = np.histogram_bin_edges(together, bins=BINS)
    shares = [(np.histogram(row, edges)[0] / max(len(row), 1)).tolist() for row in values]
    return edges.tolist(), shares


def _best_weights(size: int, n: int) -> NDArray[np.float64]:
    """From the n-th smallest of *size* on, how likely each is the best of *n*.

    The largest is with chance n / size; from one to the one below it the chance falls by (i - n) / (i - 1).
    """
    ranks = np.arange(size, n, -1)
    weights = n / size * np.cumprod(np.concatenate([[1.0], (ranks - n) / (ranks - 1)]))
    result: NDArray[np.float64] = weights[::-1]
    return result


def _swap_p(rows: NDArray[np.float64], seed: int) -> float:
    """How often the difference of the ratios is as far from zero when sides are swapped at random."""
    moved = np.column_stack([rows[:, 0] - rows[:, 2], rows[:, 1] - rows[:, 3]])
    moved = moved[moved.any(axis=1)]
    if len(moved) == 0:
        return 1.0
    value, weight = rows[:, 0].sum() + rows[:, 2].sum(), rows[:, 1].sum() + rows[:, 3].sum()

    def statistic(signs: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        by = signs @ moved
        above, below = (value + by[:, 0]) / (weight + by[:, 1]), (value - by[:, 0]) / (weight - by[:, 1])
        result: NDArray[np.float64] = np.abs(above - below)
        return result

    # Rounding must not part sums that are equal on paper.
    slack = 1e-9 * float(2 * np.abs(moved[:, 0]).sum() / weight + np.abs(moved[:, 1]).sum() / weight)
    observed = float(statistic(np.ones((1, len(moved))))[0]) - slack
    if len(moved) <= EXACT_UP_TO:
        patterns = (np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved))) & 1
        return float((statistic(1.0 - 2.0 * patterns) >= observed).mean())
    generator = np.random.default_rng(seed)
    block = max(1, 100_000 // len(moved))
    extreme = 0
    for start in range(0, FLIPS, block):
        size = (min(block, FLIPS - start), len(moved))
        flips = generator.integers(0, 2, size, dtype=np.int8)
        extreme += int((statistic(1.0 - 2.0 * flips) >= observed).sum())
    return (extreme + 1) / (FLIPS + 1)
