"""Estimates with intervals: means and ratios over queries, shares, best-of-n, paired comparisons."""

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
    estimate_ratio,
    estimate_ratio_difference,
    resample_counts,
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
"""Number of queries up to which all sign patterns are enumerated: 2^13 is less than FLIPS."""

BINS = 40
"""Maximum bars of a histogram."""
ROUNDING = 1e-9
"""Range of values, relative to the largest, that is taken for rounding."""


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Comparison of two runs on the same queries: first minus second."""

    queries: int
    difference: Estimate
    wins: int
    ties: int
    losses: int
    p: float
    """Two-sided p of swapping the two values of a query: exact for few queries, else from 10,000 draws."""

    def clipped(self, minimum: float, maximum: float) -> PairedComparison:
        """Return the comparison with its interval clipped to possible values."""
        return replace(self, difference=self.difference.clipped(minimum, maximum))

    def scaled(self, factor: float) -> PairedComparison:
        """Return the comparison multiplied by *factor*."""
        by = self.difference
        low, high = (None if bound is None else factor * bound for bound in (by.low, by.high))
        return replace(self, difference=Estimate(factor * by.value, low, high, by.skewed))


Rows = Sequence[Sequence[float]]


def bootstrap_ratios(numerators: Rows, denominators: Rows, *, seed: int = SEED) -> list[Estimate | None]:
    """Estimate for each column the sum of numerators over the sum of denominators, resampling queries.

    A mean over samples is such a ratio: sums of rewards over counts. Queries are resampled, not samples,
    because the samples of a query are correlated. Intervals are studentised below :data:`STUDENTISED_BELOW`
    queries; otherwise they are percentile intervals.

    Args:
        numerators: Q rows of K values.
        denominators: the same shape, no negative values; a column of zeros gives None.
        seed: seed of the resamples.
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
    draws = np.vstack([times @ rows for times in resample_counts(len(rows), seed, rows.shape[1])])
    return [
        estimate_ratio(above[:, k], below[:, k], draws[:, k::columns]) if counted[k] else None
        for k in range(columns)
    ]


def bootstrap_means(rows: Rows, *, seed: int = SEED) -> list[Estimate | None]:
    """Estimate the mean of each column, resampling Q rows."""
    return bootstrap_ratios(rows, [[1.0] * len(row) for row in rows], seed=seed)


def wilson_interval(means: Sequence[float], repeats: int = 1) -> Estimate:
    """Estimate the mean of shares with Wilson's interval, which is accurate near 0 and 1.

    With one repeat (seed) *means* are 0 or 1 and their number is the sample size. With several repeats a mean
    is the share of a query's repeats, and the effective sample size is that of a proportion with the same
    variance: between the number of queries (all repeats of a query agree) and the number of repeats (they are
    independent).

    Raises:
        ValueError: *means* is empty.
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


def expected_best(rewards: Rows, drawn: Sequence[int] | None = None) -> list[list[float]]:
    r"""Return for each query the expected best of n samples drawn without replacement, for n = 1 to all.

    With m rewards in ascending order r_1 … r_m it is the sum over i of r_i C(i-1, n-1) / C(m, n): the
    unbiased estimate of best-of-n from one pool (like pass@k in Chen et al. 2021, arXiv 2107.03374, section
    2.1).

    Args:
        rewards: the rewards of each query's samples.
        drawn: number of samples drawn for each query; None: as many as rewards. Samples without a reward
            (blank ones) never win, and draws without any reward do not count.
    """
    found: dict[int, list[float]] = {}
    shapes = [(len(row), size) for row, size in zip(rewards, drawn or map(len, rewards), strict=True)]
    for shape in set(shapes):
        places = [place for place, each in enumerate(shapes) if each == shape]
        pools = np.sort(np.asarray([rewards[place] for place in places], float), axis=1)
        weights = [_best_weights(*shape, n) for n in range(1, shape[1] + 1)]
        best = np.column_stack([pools[:, shape[0] - len(top) :] @ top for top in weights])
        found |= dict(zip(places, best.tolist(), strict=True))
    return [found[place] for place in range(len(rewards))]


def expected_of_best(
    rewards: Sequence[float], values: Sequence[float], drawn: int | None = None
) -> list[float]:
    """Return the expected value of the best of n samples by reward, for n = 1 to their number.

    *values* are other scores of the same samples, such as held-out ones, drawn without replacement. Values of
    equal rewards are averaged, because either sample may be the best. *drawn* is as in :func:`expected_best`.
    """
    size = len(rewards)
    order = sorted(range(size), key=rewards.__getitem__)
    ranked = np.asarray([values[place] for place in order], float)
    keys = np.asarray([rewards[place] for place in order], float)
    for key in np.unique(keys):
        ranked[keys == key] = ranked[keys == key].mean()
    weights = [_best_weights(size, drawn or size, n) for n in range(1, (drawn or size) + 1)]
    return [float(ranked[size - len(top) :] @ top) for top in weights]


def holm(ps: Sequence[float]) -> list[float]:
    """Return *ps* adjusted for being several (Holm 1979): the family-wise error rate stays at the level."""
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = largest
    return adjusted


def compare_paired(first: Sequence[float], second: Sequence[float], *, seed: int = SEED) -> PairedComparison:
    """Compare the means of *first* and *second*, whose entries belong to the same queries.

    Raises:
        ValueError: they differ in length, or are empty.
    """
    return compare_ratios(first, second, [1.0] * len(first), [1.0] * len(second), seed=seed)


def compare_ratios(
    first: Sequence[float],
    second: Sequence[float],
    first_weights: Sequence[float],
    second_weights: Sequence[float],
    *,
    seed: int = SEED,
) -> PairedComparison:
    """Compare two ratios of sums over the same queries: *first* and *second*, each divided by its weights.

    Value, interval and p describe one statistic, the difference of the ratios. The interval resamples
    queries; p swaps the two sides of a query. Wins are counted by each query's own ratio. With equal weights
    the statistic is a difference of means.

    Raises:
        ValueError: they differ in length, or are empty.
    """
    if not len(first) == len(second) == len(first_weights) == len(second_weights) or not first:
        raise ValueError("a paired comparison needs two sequences of the same length, at least 1")
    rows = sorted_rows(np.column_stack([first, first_weights, second, second_weights]).astype(float))
    own = rows[:, 0] * rows[:, 3] - rows[:, 2] * rows[:, 1]
    return PairedComparison(
        queries=len(rows),
        difference=estimate_ratio_difference(rows, seed),
        wins=int((own > 0).sum()),
        ties=int((own == 0).sum()),
        losses=int((own < 0).sum()),
        p=_swap_p(rows, seed),
    )


def compare_shares(first: Sequence[float], second: Sequence[float]) -> PairedComparison:
    """Compare two 0/1 measures of the same queries.

    The interval is the adjusted Wald interval of Bonett and Price (2012), which has a positive width even if
    no query differs, or if all differ in the same direction.

    Raises:
        ValueError: they differ in length, or are empty.
    """
    found = compare_paired(first, second)
    size, gained, lost = found.queries + 2, found.wins + 1, found.losses + 1
    center = (gained - lost) / size
    half = NORMAL * math.sqrt(((gained + lost) / size - center**2) / size)
    value = found.difference.value
    low, high = max(min(center - half, value), -1.0), min(max(center + half, value), 1.0)
    return PairedComparison(
        found.queries, Estimate(value, low, high), found.wins, found.ties, found.losses, found.p
    )


def histogram(values: Rows) -> tuple[list[float], list[list[float]]]:
    """Return common bin edges, and for each row of *values* the share of its entries in each bin."""
    together = np.concatenate([np.asarray(row, float) for row in values])
    if len(together) and np.ptp(together) <= ROUNDING * np.abs(together).max():
        edges = np.array([together.min() - 0.5, together.max() + 0.5])  # numpy refuses bins that narrow
    else:
        edges = np.histogram_bin_edges(together, bins="auto")
    if len(edges) - 1 > BINS:
        edges = np.histogram_bin_edges(together, bins=BINS)
    shares = [(np.histogram(row, edges)[0] / max(len(row), 1)).tolist() for row in values]
    return edges.tolist(), shares


def _best_weights(size: int, drawn: int, n: int) -> NDArray[np.float64]:
    """Return the probability that each of the largest of *size* rewards is the best of *n* samples.

    Of *drawn* samples, those without a reward rank below all others, and draws of them alone do not count.
    Before that the probability of the largest is n / drawn; each next smaller one has (i - n) / (i - 1) times
    the probability, down to rank n.
    """
    ranks = np.arange(drawn, n, -1)
    weights = n / drawn * np.cumprod(np.concatenate([[1.0], (ranks - n) / (ranks - 1)]))
    top = weights[:size][::-1]
    result: NDArray[np.float64] = top / top.sum()
    return result


def _swap_p(rows: NDArray[np.float64], seed: int) -> float:
    """Return the share of random swaps whose difference of the ratios is at least as far from zero."""
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

    # Rounding must not separate sums that are equal in exact arithmetic.
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
