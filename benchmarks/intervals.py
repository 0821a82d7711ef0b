"""Measure how often the 95 % intervals of reports cover the true value, by simulation.

    python -m benchmarks.intervals --samples 200

For each distribution and number of queries, that many samples are drawn; an interval covers when the true
mean lies inside it. Percentile intervals stand beside those that reports use. The result goes to
``benchmarks/results/intervals.json``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

import numpy as np
from benchmarks.record import write_result

from tpo.report.bootstrap import Estimate, resample_counts
from tpo.report.statistics import bootstrap_means, wilson_interval

REWARDS: dict[str, tuple[Callable[[Random], float], float]] = {
    "normal": (lambda draw: draw.gauss(0, 1), 0.0),
    "exponential": (lambda draw: draw.expovariate(1), 1.0),
    "lognormal, sigma 1": (lambda draw: draw.lognormvariate(0, 1), math.exp(0.5)),
    "lognormal, sigma 1.5": (lambda draw: draw.lognormvariate(0, 1.5), math.exp(1.125)),
}
QUERIES = (5, 20, 50)
SHARES = ((20, 1), (20, 3), (50, 1))
"""Queries and seeds of shares that are right with chance CHANCE, each seed independently."""

CHANCE = 0.97
SEED = 1


def percentile(values: list[float]) -> Estimate:
    """Return the plain percentile interval."""
    rows = np.asarray(values)
    drawn = np.concatenate([times @ rows for times in resample_counts(len(rows), SEED)]) / len(rows)
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return Estimate(float(rows.mean()), low, high)


def reported(values: list[float]) -> Estimate:
    """Return the interval that reports use for rewards."""
    (estimate,) = bootstrap_means([[value] for value in values])
    return estimate or Estimate(0.0)


def coverage(samples: list[list[float]], mean: float, interval: Callable[[list[float]], Estimate]) -> float:
    """Return the share of *samples* whose interval holds *mean*."""
    found = [interval(values) for values in samples]
    held = [e.low is not None and e.high is not None and e.low <= mean <= e.high for e in found]
    return round(sum(held) / len(held), 3)


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Yield a record for each distribution and number of queries."""
    draw = Random(SEED)  # noqa: S311 - a simulation, no secret
    for name, (one, mean) in REWARDS.items():
        for queries in QUERIES:
            samples = [[one(draw) for _ in range(queries)] for _ in range(count)]
            covered = {way.__name__: coverage(samples, mean, way) for way in (percentile, reported)}
            yield {"values": name, "queries": queries, **covered}
    for queries, seeds in SHARES:
        samples = [
            [sum(draw.random() < CHANCE for _ in range(seeds)) / seeds for _ in range(queries)]
            for _ in range(count)
        ]
        covered = {
            "percentile": coverage(samples, CHANCE, percentile),
            "reported": coverage(samples, CHANCE, partial(wilson_interval, repeats=seeds)),
        }
        yield {"values": f"right with chance {CHANCE}, seeds {seeds}", "queries": queries, **covered}


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200)
    count = parser.parse_args().samples
    setup = {"samples": count, "seed": SEED}
    write_result("intervals", {"setup": setup, "coverage": list(rows(count))}, "numpy")


if __name__ == "__main__":
    main()
