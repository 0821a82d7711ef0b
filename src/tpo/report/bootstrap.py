"""Bootstrap over queries: intervals of ratios of sums, and of differences of two such ratios.

Rows are sorted by value before resampling, and the generator has a fixed seed: the same values give the same
interval in any order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
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

RESAMPLES = 10_000
"""Bootstrap resamples; fewer above RESAMPLED_ROWS / RESAMPLES queries, but at least MIN_RESAMPLES."""

RESAMPLED_ROWS = 100_000_000
MIN_RESAMPLES = 1000
FEW_COLUMNS = 8
SEED = 7
LEVEL = 0.95
NORMAL = 1.959963984540054
"""Half width of an interval of LEVEL in standard errors (normal quantile)."""

STUDENTISED_BELOW = 100
"""Number of queries below which intervals are studentised: percentile intervals undercover there."""

BOUNDED_FROM = 10
"""Number of queries from which a studentised interval stays within the range of their values."""

STUDENT_T = {2: 12.706, 3: 4.303, 4: 3.182}
"""Quantiles of Student's t by number of queries, for samples too small for a bootstrap."""

SKEWED = 2.0
"""Skewness above which the studentised interval of a small sample covers clearly less than LEVEL."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval of level :data:`LEVEL`; a single query has no interval.

    *skewed* marks a small sample with a skewed distribution: the interval covers less than LEVEL.
    """

    value: float
    low: float | None = None
    high: float | None = None
    skewed: bool = False

    def clipped(self, minimum: float, maximum: float) -> Estimate:
        """Return the estimate with its value and its interval clipped to possible values."""

        def within(value: float) -> float:
            return min(max(value, minimum), maximum)

        low, high = (None if bound is None else within(bound) for bound in (self.low, self.high))
        return Estimate(within(self.value), low, high, self.skewed)


def sorted_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return *rows* sorted by value, so that estimates do not depend on the order of queries."""
    return rows[np.lexsort(rows.T[::-1])]


def resample_counts(count: int, seed: int, columns: int = 1) -> Iterator[NDArray[np.float64]]:
    """Yield blocks of resamples: how often each of *count* rows is drawn, one line per resample.

    Blocks fit in the processor's cache. With many *columns* they are larger, because each block reads all
    rows.
    """
    generator = np.random.default_rng(seed)
    total = min(RESAMPLES, max(MIN_RESAMPLES, RESAMPLED_ROWS // count))
    block = max(16, (100_000 if columns <= FEW_COLUMNS else 2_000_000) // count)
    for start in range(0, total, block):
        size = min(block, total - start)
        drawn = generator.integers(count, size=(size, count))
        drawn += count * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count).astype(float)


def estimate_ratio(
    above: NDArray[np.float64], below: NDArray[np.float64], draws: NDArray[np.float64]
) -> Estimate:
    """Estimate the ratio of the sums of *above* and *below* from *draws*, resampled sums by resample.

    The sums are of above and below and, for few queries, also of above², above x below and below².
    """
    above, below = above[below > 0], below[below > 0]
    total = below.sum()
    value = float(above.sum() / total)
    draws = draws[draws[:, 1] > 0]
    drawn = draws[:, 0] / draws[:, 1]
    if len(below) >= STUDENTISED_BELOW:
        return _percentile(value, drawn)
    squares = draws[:, 2] - 2 * drawn * draws[:, 3] + drawn**2 * draws[:, 4]
    errors = np.sqrt(np.maximum(squares, 0)) / draws[:, 1]
    return _studentised(value, (above - value * below) / total, drawn, errors)


def estimate_ratio_difference(rows: NDArray[np.float64], seed: int) -> Estimate:
    """Estimate the difference of two ratios of sums.

    Each row of *rows* is a query: numerator and denominator of the first ratio, then of the second.
    """
    sums = rows.sum(axis=0)
    value = float(sums[0] / sums[1] - sums[2] / sums[3])
    few = len(rows) < STUDENTISED_BELOW
    drawn, errors = [], []
    for counts in resample_counts(len(rows), seed):
        draws = counts @ rows
        ratios = draws[:, (0, 2)] / draws[:, (1, 3)]
        drawn.append(ratios[:, 0] - ratios[:, 1])
        if few:
            squares = counts * _residuals(rows, ratios, draws[:, (1, 3)]) ** 2
            errors.append(np.sqrt(squares.sum(axis=1)))
    if not few:
        return _percentile(value, np.concatenate(drawn))
    own = _residuals(rows, np.array([[sums[0] / sums[1], sums[2] / sums[3]]]), sums[None, (1, 3)])[0]
    return _studentised(value, own, np.concatenate(drawn), np.concatenate(errors))


def _residuals(
    rows: NDArray[np.float64], ratios: NDArray[np.float64], totals: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the linearised contribution of each query to the difference of two ratios, by resample."""
    first = (rows[:, 0] - ratios[:, :1] * rows[:, 1]) / totals[:, :1]
    result: NDArray[np.float64] = first - (rows[:, 2] - ratios[:, 1:] * rows[:, 3]) / totals[:, 1:]
    return result


def _percentile(value: float, drawn: NDArray[np.float64]) -> Estimate:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]).tolist()
    return Estimate(value, min(low, value), max(high, value))


def _studentised(
    value: float, residuals: NDArray[np.float64], drawn: NDArray[np.float64], errors: NDArray[np.float64]
) -> Estimate:
    """Return the bootstrap-t interval for few queries; Student's t for fewer than five.

    Args:
        value: the estimate.
        residuals: linearised contribution of each query; the sum of their squares is the squared error.
        drawn: the estimate of each resample.
        errors: the standard error of each resample.
    """
    count, error = len(residuals), float(np.sqrt((residuals**2).sum()))
    if count == 1:
        return Estimate(value)
    if error <= 1e-12 * max(abs(value), 1e-300):
        return Estimate(value, value, value)
    if count in STUDENT_T:
        half = STUDENT_T[count] * error * math.sqrt(count / (count - 1))
        return Estimate(value, value - half, value + half)
    usable = errors > 1e-9 * error
    quotients = (drawn[usable] - value) / errors[usable]
    tail = (1 - LEVEL) / 2
    left, right = np.quantile(quotients, [tail, 1 - tail]).tolist()
    skewness = float((residuals**3).mean() / (residuals**2).mean() ** 1.5)
    low, high = min(value - right * error, value), max(value - left * error, value)
    if count >= BOUNDED_FROM:  # where nearly all queries are alike, errors of resamples are nearly 0
        low = max(low, value + count * float(residuals.min()))
        high = min(high, value + count * float(residuals.max()))
    return Estimate(value, low, high, abs(skewness) > SKEWED)
