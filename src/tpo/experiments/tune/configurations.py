"""Configurations that ``tpo tune`` chooses from: cost and score of each, by query.

A run of D iterations contains all shallower ones, and a pool of first samples contains best-of-n for every n
(its expected value), so one run for each method and N gives every configuration without further calls.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any, NamedTuple

from tpo.config.command_line import option_words
from tpo.config.option import flag_of
from tpo.errors import ConfigError
from tpo.experiments.sweep.arms import Arm, QueryResult, largest_pools
from tpo.experiments.sweep.costs import CostMeasure
from tpo.experiments.sweep.curves import cost_at, cost_of_samples
from tpo.experiments.sweep.equal_cost import deepest_arms
from tpo.methods.need import NeedModel, fit_gain
from tpo.report.statistics import PairedComparison, compare_paired
from tpo.types import Query, user

FOLDS = 5
"""Parts of the sample: a query's decision comes from a model that was fitted without its part."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A method with N, D and possibly a stopping rule: cost and score of each query.

    *options* are the settings of the *rule*.
    """

    method: str
    n: int
    depth: int
    costs: Mapping[str, float]
    scores: Mapping[str, float]
    rule: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Method with its shape, and the options of the rule if there is one."""
        shape = f"{self.method} D{self.depth}-N{self.n}"
        return " ".join([shape, *(option_words(self.options) or ([flag_of(self.rule)] if self.rule else []))])

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
        found += [
            at_steps(arm, measure, dict.fromkeys(arm.results, step), held_out, depth=step)
            for step in range(1, arm.depth + 1)
        ]
    for name, pool in named_pools(arms):
        found += [_best_of_n(pool, name, n, measure, held_out) for n in range(1, pool.pool_size + 1)]
    return found


def named_pools(arms: Sequence[Arm]) -> list[tuple[str, Arm]]:
    """Return the largest pools of first samples, each with the method that draws them alone.

    A pool is left out if no such method is known: its samples stand behind another first prompt than those
    of the methods that were run without iterations.
    """
    by_depth = sorted(arms, key=lambda arm: arm.depth > 0)  # of equal pools the first is taken
    alone = {(arm.reward, arm.sampling_key): arm.method_name for arm in by_depth if arm.depth == 0}
    names = [(_name_of(pool, alone), pool) for pool in largest_pools(by_depth)]
    return [(name, pool) for name, pool in names if name is not None]


def _name_of(pool: Arm, alone: Mapping[tuple[str, str], str]) -> str | None:
    """Return the method that draws the samples of *pool* alone, among those *alone* if it is there."""
    if pool.depth == 0:
        return pool.method_name
    query = Query("", (user("x"),))
    plain = "bon" if pool.method.first_prompt(query) == query.messages else None
    return alone.get((pool.reward, pool.sampling_key), plain)


def at_steps(
    arm: Arm, measure: CostMeasure, steps: Mapping[str, int], held_out: bool, *, depth: int, **rule: Any
) -> Configuration:
    """Return the configuration of *arm* whose queries end after *steps*; *rule* ends them before *depth*."""
    rows = arm.results
    costs = {query: cost_at(rows[query], measure, step) for query, step in steps.items()}
    scores = {query: _scores(rows[query], held_out)[step] for query, step in steps.items()}
    return Configuration(arm.method_name, arm.n, depth, costs, scores, **rule)


def _best_of_n(pool: Arm, name: str, n: int, measure: CostMeasure, held_out: bool) -> Configuration:
    rows = pool.results
    costs = {query: cost_of_samples(row, measure, n) for query, row in rows.items()}
    scores = {query: (row.check_best_of if held_out else row.best_of)[n - 1] for query, row in rows.items()}
    return Configuration(name, n, 0, costs, scores)


def _scores(row: QueryResult, held_out: bool) -> tuple[float, ...]:
    return row.check if held_out else row.best


def best_within(
    found: Sequence[Configuration], budget: float | None, queries: Collection[str] | None = None
) -> Configuration:
    """Return the configuration with the highest mean score whose mean query costs at most *budget*.

    Means are over *queries*; None: over all. Of equal scores the cheaper one.

    Raises:
        ConfigError: none is so cheap.
    """
    over = list(found[0].scores) if queries is None else queries
    measured = [(each, fmean(each.costs[q] for q in over)) for each in found]
    affordable = [(each, cost) for each, cost in measured if budget is None or cost <= budget]
    if not affordable:
        cheapest = min(cost for _, cost in measured)
        raise ConfigError(f"--budget {budget:g}: the cheapest configuration costs {cheapest:,.6g} a query")
    return max(affordable, key=lambda of: (fmean(of[0].scores[q] for q in over), -of[1]))[0]


def cross_validated(found: Sequence[Configuration], budget: float | None) -> Configuration:
    """Return the result of choosing: each query as the configuration chosen on the other parts has it.

    The score of a choice on the queries that it was made on is optimistic; this one is not. If nothing is
    within *budget* on some parts, the cheapest is chosen there.
    """
    queries = list(found[0].scores)
    costs: dict[str, float] = {}
    scores: dict[str, float] = {}
    for fold in range(FOLDS):
        inside = [query for place, query in enumerate(queries) if place % FOLDS != fold] or queries
        cheapest = min(fmean(each.costs[query] for query in inside) for each in found)
        chosen = best_within(found, None if budget is None else max(budget, cheapest), inside)
        costs |= {query: chosen.costs[query] for query in queries[fold::FOLDS]}
        scores |= {query: chosen.scores[query] for query in queries[fold::FOLDS]}
    return Configuration("", 0, 0, costs, scores)


def turning_points(found: Sequence[Configuration]) -> list[TurningPoint]:
    """Return the turning point of D for each method and N, and of N for each method and D."""
    by_depth: dict[str, list[tuple[int, Configuration]]] = {}
    by_width: dict[str, list[tuple[int, Configuration]]] = {}
    for each in found:
        if each.rule:
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
    return Need(*fitted, threshold, replace(chosen, costs=costs, scores=scores, rule="when_needed"))


def _model(fitted: tuple[float, float, float], threshold: float) -> NeedModel:
    return NeedModel(None, None, *fitted, threshold, 0, "", 0)
