"""Estimates with their uncertainty: bootstrap over queries, best-of-n from a pool, paired comparison.

The only module here that needs numpy. Everything random draws from a generator of a fixed seed, so that the
same run gives the same report.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpo.errors import MissingExtra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    try:
        import numpy as np
    except ImportError as error:  # pragma: no cover - the tests' environment has it
        raise MissingExtra("numpy", "report", "tpo report") from error

RESAMPLES = 1000
FLIPS = 10_000
SEED = 7
LEVEL = 0.95
EXACT_UP_TO = 13
"""Queries up to which every sign pattern is tried: 2^13 is fewer than FLIPS."""

BINS = 40
"""Most bars of a histogram."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, and the interval of level :data:`LEVEL` around it; a derived value may have none."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Paired:
    """One run against another on the same queries: first less second."""

    queries: int
    difference: Estimate
    wins: int
    ties: int
    losses: int
    p: float
    """Two-sided, by flipping the differences' signs: exact for few queries, else 10,000 draws."""


def bootstrap_ratios(
    numerators: Sequence[Sequence[float]], denominators: Sequence[Sequence[float]], *, seed: int = SEED
) -> list[Estimate | None]:
    """For each column, the sum of numerators over the sum of denominators, whole queries drawn again.

    A mean over samples is such a ratio: sums of rewards over counts. Resampling queries, not samples, keeps
    those of a query together, which are alike.

    Args:
        numerators: Q rows of K values.
        denominators: the same shape, none negative; a column of zeros gives None.
        seed: of the draws.
    """
    above, below = np.asarray(numerators, float), np.asarray(denominators, float)
    if above.size == 0:
        return []
    both = np.hstack([above, below])
    sums = both.sum(axis=0)
    draws = _resampled(both, seed)
    columns = above.shape[1]
    return [_estimate(sums[k], sums[columns + k], draws[:, k], draws[:, columns + k]) for k in range(columns)]


def bootstrap_means(rows: Sequence[Sequence[float]], *, seed: int = SEED) -> list[Estimate | None]:
    """The mean of each column, Q rows drawn again."""
    return bootstrap_ratios(rows, [[1.0] * len(row) for row in rows], seed=seed)


def expected_best(rewards: Sequence[Sequence[float]]) -> list[list[float]]:
    r"""For each query, the expected best of n of its samples drawn without putting back, n = 1 to its size.

    With m rewards in rising order r_1 … r_m it is the sum over i of r_i C(i-1, n-1) / C(m, n): the unbiased
    estimate of best-of-n from one pool (as pass@k is of Chen et al. 2021, arXiv 2107.03374, section 2.1).
    """
    weights = {size: _best_weights(size) for size in {len(row) for row in rewards}}
    return [(np.sort(np.asarray(row, float)) @ weights[len(row)]).tolist() for row in rewards]


def paired(first: Sequence[float], second: Sequence[float], *, seed: int = SEED) -> Paired:
    """*first* against *second*, entry by entry the same query.

    Raises:
        ValueError: they differ in length, or are empty.
    """
    if len(first) != len(second) or not first:
        raise ValueError("a paired comparison needs as many values of one as of the other, and at least one")
    difference = np.asarray(first, float) - np.asarray(second, float)
    estimate = bootstrap_means([[value] for value in difference.tolist()], seed=seed)[0]
    assert estimate is not None  # noqa: S101 - there is at least one query, and every weight is one
    return Paired(
        queries=len(first),
        difference=estimate,
        wins=int((difference > 0).sum()),
        ties=int((difference == 0).sum()),
        losses=int((difference < 0).sum()),
        p=_sign_flip_p(difference, seed),
    )


def histogram(values: Sequence[Sequence[float]]) -> tuple[list[float], list[list[float]]]:
    """Edges that all *values* share, and for each of them the share of its entries between two edges."""
    together = np.concatenate([np.asarray(row, float) for row in values])
    edges = np.histogram_bin_edges(together, bins="auto")
    if len(edges) - 1 > BINS:
        edges = np.histogram_bin_edges(together, bins=BINS)
    shares = [(np.histogram(row, edges)[0] / max(len(row), 1)).tolist() for row in values]
    return edges.tolist(), shares


def _resampled(rows: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """RESAMPLES sums over as many rows as there are, drawn with putting back."""
    generator = np.random.default_rng(seed)
    count = len(rows)
    sums = np.empty((RESAMPLES, rows.shape[1]))
    for number in range(RESAMPLES):
        times = np.bincount(generator.integers(count, size=count), minlength=count)
        sums[number] = times @ rows
    return sums


def _estimate(
    above: float, below: float, draws_above: NDArray[np.float64], draws_below: NDArray[np.float64]
) -> Estimate | None:
    if below == 0:
        return None
    drawn = draws_below > 0
    ratios = draws_above[drawn] / draws_below[drawn]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail]).tolist()
    value = float(above / below)
    return Estimate(value, min(low, value), max(high, value))


def _best_weights(size: int) -> NDArray[np.float64]:
    """Row i, column n-1: how likely the i-th smallest of *size* is the best of n."""
    ranks, draws = range(1, size + 1), range(1, size + 1)
    return np.array([[math.comb(i - 1, n - 1) / math.comb(size, n) for n in draws] for i in ranks])


def _sign_flip_p(difference: NDArray[np.float64], seed: int) -> float:
    """How often differences of these sizes and of random signs have a mean as far from zero."""
    moved = difference[difference != 0]
    if moved.size == 0:
        return 1.0
    # Rounding must not part sums that are equal on paper.
    observed = abs(moved.sum()) - 1e-9 * float(np.abs(moved).sum())
    if moved.size <= EXACT_UP_TO:
        patterns = (np.arange(2**moved.size)[:, None] >> np.arange(moved.size)) & 1
        return float((np.abs((1 - 2 * patterns) @ moved) >= observed).mean())
    generator = np.random.default_rng(seed)
    block = max(1, 2_000_000 // moved.size)
    extreme = 0
    for start in range(0, FLIPS, block):
        signs = generator.integers(0, 2, (min(block, FLIPS - start), moved.size), dtype=np.int8)
        extreme += int((np.abs((1.0 - 2.0 * signs) @ moved) >= observed).sum())
    return (extreme + 1) / (FLIPS + 1)
