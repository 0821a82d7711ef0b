"""Configurations that ``tpo tune`` chooses from: cost and score of each, by query.

A run of D iterations contains all shallower ones, and a pool of first samples contains best-of-n for every n
(its expected value), so one run for each method and N gives every configuration without further calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import NamedTuple

from tpo.errors import ConfigError
from tpo.experiments.sweep.arms import Arm, QueryResult, largest_pools
from tpo.experiments.sweep.costs import CostMeasure
from tpo.experiments.sweep.curves import cost_at
from tpo.experiments.sweep.equal_cost import deepest_arms
from tpo.methods.need import NeedModel, fit_gain
from tpo.report.statistics import PairedComparison, compare_paired

FOLDS = 5
"""Parts of the sample: a query's decision comes from a model that was fitted without its part."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A method with N and D: cost and score of each query; with *need*, only queries that need it go on."""

    method: str
    n: int
    depth: int
    costs: Mapping[str, float]
    scores: Mapping[str, float]
    need: bool = False

    @property
    def label(self) -> str:
        """Method with its shape, and the rule if there is one."""
        return f"{self.method} D{self.depth}-N{self.n}" + (" --when-needed" if self.need else "")

    @property
    def cost(self) -> float:
        """Cost of the mean query."""
        return fmean(self.costs.values())

    @property
    def score(self) -> float:
        """Mean score."""
        return fmean(self.scores.values())

    def against(self, other: Configuration) -> PairedComparison:
        """Compare the scores with those of *other*, query by query."""
        return compare_paired(list(self.scores.values()), [other.scores[query] for query in self.scores])


class TurningPoint(NamedTuple):
    """The value of N or D after which the next larger one is not better.

    Attributes:
        of: what is varied: ``D of tpo N5`` or ``N of best-of-n``.
        value: the turning point; the largest measured value if each step was better.
        next: the paired difference of the next value; None if none was measured.
    """

    of: str
    value: int
    next: PairedComparison | None

    @property
    def reached(self) -> bool:
        """True if a larger value was measured."""
        return self.next is not None


def configurations(arms: Sequence[Arm], measure: CostMeasure, *, held_out: bool) -> list[Configuration]:
    """Return every configuration that *arms* contain, scored by the held-out reward or by the guiding one."""
    found = []
    for arm in deepest_arms(arms):
        for step in range(1, arm.depth + 1):
            costs = {query: cost_at(row, measure, step) for query, row in arm.results.items()}
            scores = {query: _steps(row, held_out)[step] for query, row in arm.results.items()}
            found.append(Configuration(arm.method_name, arm.n, step, costs, scores))
    for pool in largest_pools(arms):
        name = pool.method_name if pool.depth == 0 else "bon"
        found += [_best_of_n(pool, name, n, measure, held_out) for n in range(1, pool.pool_size + 1)]
    return found


def _best_of_n(pool: Arm, name: str, n: int, measure: CostMeasure, held_out: bool) -> Configuration:
    rows = pool.results
    costs = {
        query: measure.of(row.sample_read, row.sample_written * n / pool.n, n) for query, row in rows.items()
    }
    scores = {query: (row.check_best_of if held_out else row.best_of)[n - 1] for query, row in rows.items()}
    return Configuration(name, n, 0, costs, scores)


def _steps(row: QueryResult, held_out: bool) -> tuple[float, ...]:
    return row.check if held_out else row.best


def best_within(found: Sequence[Configuration], budget: float | None) -> Configuration:
    """Return the configuration with the highest mean score whose mean query costs at most *budget*.

    Of equal scores the cheaper one.

    Raises:
        ConfigError: none is so cheap.
    """
    affordable = [each for each in found if budget is None or each.cost <= budget]
    if not affordable:
        cheapest = min(each.cost for each in found)
        raise ConfigError(f"--budget {budget:g}: the cheapest configuration costs {cheapest:,.6g} a query")
    return max(affordable, key=lambda each: (each.score, -each.cost))


def turning_points(found: Sequence[Configuration]) -> list[TurningPoint]:
    """Return the turning point of D for each method and N, and of N for each method and D."""
    by_depth: dict[str, list[tuple[int, Configuration]]] = {}
    by_width: dict[str, list[tuple[int, Configuration]]] = {}
    for each in found:
        if each.need:
            continue
        if each.depth:
            by_depth.setdefault(f"D of {each.method} N{each.n}", []).append((each.depth, each))
        by_width.setdefault(f"N of {each.method} D{each.depth}", []).append((each.n, each))
    return [
        _turning_point(of, sorted(line, key=lambda placed: placed[0]))
        for of, line in (*by_depth.items(), *by_width.items())
        if len(line) > 1
    ]


def _turning_point(of: str, line: Sequence[tuple[int, Configuration]]) -> TurningPoint:
    at = 0
    while True:
        # The next value is twice as large: neighbours of a long curve differ by less than their noise.
        later = [place for place in range(at + 1, len(line)) if line[place][0] >= 2 * line[at][0]]
        if not later and at + 1 < len(line):
            later = [len(line) - 1]
        if not later:
            return TurningPoint(of, line[at][0], None)
        by = line[later[0]][1].against(line[at][1])
        if by.difference.low is None or by.difference.low <= 0:
            return TurningPoint(of, line[at][0], by)
        at = later[0]


class Need(NamedTuple):
    """The rule ``when_needed`` for *configuration*: coefficients, threshold, and the rule's own result."""

    intercept: float
    best: float
    spread: float
    threshold: float
    configuration: Configuration


def when_needed(chosen: Configuration, stopped: Configuration, firsts: Mapping[str, Sequence[float]]) -> Need:
    """Return the rule that stops queries of *chosen* whose expected gain does not pay for its cost.

    A query is optimized if its expected gain is at least half of the mean gain. Results are cross-validated:
    a query's decision comes from a model that was fitted without it.

    Args:
        chosen: the configuration with iterations.
        stopped: the same without iterations, as a query that is stopped ends.
        firsts: guiding rewards of the first samples of each query.

    Raises:
        ConfigError: there are fewer than 10 queries in a fit.
    """
    queries = list(chosen.scores)
    gains = {query: chosen.scores[query] - stopped.scores[query] for query in queries}
    threshold = fmean(gains.values()) / 2
    decided: dict[str, bool] = {}
    for fold in range(FOLDS):
        inside = [query for k, query in enumerate(queries) if k % FOLDS != fold]
        model = _model(fit_gain([firsts[q] for q in inside], [gains[q] for q in inside]), threshold)
        outside = queries[fold::FOLDS]
        decided |= {query: model.expected_gain(firsts[query]) >= threshold for query in outside}
    costs = {q: (chosen if decided[q] else stopped).costs[q] for q in queries}
    scores = {q: (chosen if decided[q] else stopped).scores[q] for q in queries}
    fitted = fit_gain([firsts[q] for q in queries], [gains[q] for q in queries])
    return Need(*fitted, threshold, replace(chosen, costs=costs, scores=scores, need=True))


def _model(fitted: tuple[float, float, float], threshold: float) -> NeedModel:
    return NeedModel(None, None, *fitted, threshold, 0, "", 0)
