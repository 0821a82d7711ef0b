"""Results of methods on a benchmark: metrics before and after, the change, and the paper's numbers.

Methods are compared on the queries that all of them answered with every seed, if all these answers could be
graded. Other queries count in no method's numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.graders.base import (
    Grade,
    GradedAnswer,
    GradingContext,
    Metric,
    Weight,
    equal_weight,
)
from tpo.experiments.bench.graders.metrics import compare_metric, scores_by_query
from tpo.experiments.bench.paper import TPO_METHODS, PaperNumber, is_model, paper_number
from tpo.experiments.bench.plan import AFTER, BEFORE
from tpo.experiments.cells import Cell
from tpo.report.shared_queries import shared_queries
from tpo.report.statistics import PairedComparison

EXCLUDED = Grade(None, "left out", {"reason": "another answer to this query has no grade"})


@dataclass(frozen=True, slots=True)
class MethodComparison:
    """Comparison of the final answers of *first* minus *second* on the same queries."""

    first: str
    second: str
    paired: PairedComparison


@dataclass(frozen=True, slots=True)
class PaperComparison:
    """A metric and the paper's number; *difference* is None if the measures differ, for the reason *why*."""

    when: str
    metric: str
    paper: PaperNumber
    difference: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class MethodResult:
    """Results of a method over all its seeds.

    Attributes:
        method: name of the method with its shape.
        seeds: all seeds.
        queries: number of queries that count.
        missing: number of missing answers over all seeds.
        missing_by_seed: number of missing answers by seed.
        ungraded: number of answers, before and after, that could not be graded.
        reason: reason of the first ungraded answer.
        apart: the method has too few answers to be compared with others.
        by_when: metrics before and after.
        by_seed: metrics before and after, by seed.
        strata: mean score and number of answers by kind of query, before and after.
        change: after minus before.
        beside: comparisons with the paper's numbers.
    """

    method: str
    seeds: tuple[int, ...]
    queries: int
    missing: int
    missing_by_seed: Mapping[int, int]
    ungraded: int
    reason: str
    apart: bool
    by_when: Mapping[str, tuple[Metric, ...]]
    by_seed: Mapping[int, Mapping[str, tuple[Metric, ...]]]
    strata: Mapping[str, Mapping[str, tuple[float, int]]]
    change: PairedComparison | None
    beside: tuple[PaperComparison, ...]

    def record(self) -> dict[str, Any]:
        """Return the results as JSON values."""
        return asdict(self)


GradedByCell = Mapping[tuple[Cell, str], Sequence[GradedAnswer]]
"""Graded answers by cell and by ``before`` or ``after``."""


@dataclass(frozen=True, slots=True)
class ResultsBuilder:
    """Builder of results from graded answers.

    Attributes:
        benchmark: the benchmark.
        context: the context of the grader.
        policy: name of the policy.
        shows_paper: compare with the paper's numbers.
        model: model of the paper's table to compare with; None: the closest one.
    """

    benchmark: Benchmark
    context: GradingContext
    policy: str
    shows_paper: bool = False
    model: str | None = None

    def results(
        self, methods: Mapping[str, Sequence[Cell]], graded: GradedByCell, missing: Mapping[Cell, int]
    ) -> tuple[list[MethodResult], tuple[MethodComparison, ...]]:
        """Return the results of *methods*, given with their cells (one per seed), and their comparisons."""
        answered = [_answered_queries(cells, graded) for cells in methods.values()]
        shared = shared_queries(answered)
        compared = [cells for n, cells in enumerate(methods.values()) if n not in shared.apart]
        counted = shared.queries - _ungraded_queries(compared, graded)
        found, final = [], {}
        for number, (name, cells) in enumerate(methods.items()):
            apart = number in shared.apart and len(methods) > 1
            queries = answered[number] if apart else shared.queries
            counts = queries - _ungraded_queries([cells], graded) if apart else counted
            own = _exclude_uncounted(cells, graded, queries, counts)
            found.append(self._result(cells, own, missing, apart=apart))
            if not apart:
                final[name] = [each for cell in cells for each in own[cell, AFTER]]
        scale = _score_scale(found[0].by_when[AFTER])
        return found, _compare_methods(final, scale, self.benchmark.weigh)

    def _result(
        self, cells: Sequence[Cell], graded: GradedByCell, missing: Mapping[Cell, int], *, apart: bool
    ) -> MethodResult:
        pooled = {when: [g for cell in cells for g in graded[cell, when]] for when in (BEFORE, AFTER)}
        by_when = {when: self.metrics(pooled[when]) for when in pooled}
        weigh = self.benchmark.weigh
        reasons = [
            each.grade.details.get("reason", "")
            for of in pooled.values()
            for each in of
            if not each.grade.is_graded and each.grade is not EXCLUDED
        ]
        return MethodResult(
            method=cells[0].label,
            seeds=tuple(cell.seed for cell in cells),
            queries=len(scores_by_query(pooled[AFTER], weigh)),
            missing=sum(missing[cell] for cell in cells),
            missing_by_seed={cell.seed: missing[cell] for cell in cells},
            ungraded=len(reasons),
            reason=reasons[0] if reasons else "",
            apart=apart,
            by_when=by_when,
            by_seed={
                cell.seed: {when: self.metrics(graded[cell, when]) for when in pooled} for cell in cells
            },
            strata={when: self._strata(pooled[when]) for when in pooled},
            change=None
            if apart
            else compare_metric(pooled[AFTER], pooled[BEFORE], _score_scale(by_when[AFTER]), weigh),
            beside=self._paper_comparisons(cells[0], by_when) if self.shows_paper else (),
        )

    def metrics(self, graded: Sequence[GradedAnswer]) -> tuple[Metric, ...]:
        """Return the benchmark's metrics, with a note if judge, reward or opponent is not the paper's."""
        found = self.benchmark.summarize(graded, self.context)
        return tuple(replace(metric, note=_join(metric.note, self._deviation(metric))) for metric in found)

    def _deviation(self, metric: Metric) -> str:
        """Return why the paper's number is another measure; empty if it is the same measure."""
        judge, reward = self.benchmark.paper_judge, self.benchmark.paper_reward
        if self._other_opponent:
            return f"not the published opponent, {self._published_opponent}"
        if judge is not None and not is_model(metric.by, judge):
            return f"not the paper's judge, {judge}"
        if reward is not None and not is_model(metric.by, reward):
            return f"not the paper's reward, {reward}"
        return ""

    @property
    def _published_opponent(self) -> str:
        return self.benchmark.baseline.writer if self.benchmark.baseline is not None else ""

    @property
    def _other_opponent(self) -> bool:
        return self.context.opponent not in ("", self._published_opponent)

    def _strata(self, graded: Sequence[GradedAnswer]) -> Mapping[str, tuple[float, int]]:
        """Return mean score and number of answers by stratum, in the unit of the score."""
        stratum, kinds = self.benchmark.stratum, defaultdict(list)
        for each in graded if stratum is not None else ():
            kinds[str(each.answer.query.metadata.get(stratum or ""))].append(each)
        found = {
            kind: scores_by_query(of, self.benchmark.weigh).values() for kind, of in sorted(kinds.items())
        }
        seeds = len({each.answer.seed for each in graded})
        return {
            kind: (sum(value for value, _ in of) / sum(weight for _, weight in of), len(of) * seeds)
            for kind, of in found.items()
            if of
        }

    def _paper_comparisons(
        self, cell: Cell, by_when: Mapping[str, Sequence[Metric]]
    ) -> tuple[PaperComparison, ...]:
        columns = dict(self.benchmark.paper)
        found = []
        for when, metrics in by_when.items():
            for metric in metrics:
                number = self._number(cell, when, columns.get(metric.name))
                if number is not None:
                    found.append(self._paper_comparison(when, metric, number))
        return tuple(found)

    def _number(self, cell: Cell, when: str, column: str | None) -> PaperNumber | None:
        method = cell.method
        if column is None or (when == AFTER and method.name not in TPO_METHODS):
            return None
        shape = f"D{method.max_iterations}-N{method.sample_size}" if when == AFTER else None
        return paper_number(self.policy, column, shape=shape, reward=self.context.reward, wanted=self.model)

    def _paper_comparison(self, when: str, metric: Metric, number: PaperNumber) -> PaperComparison:
        why = self._deviation(metric)
        other = self._other_opponent or (self.benchmark.paper_reward is not None and why)
        if metric.value is None or other:
            return PaperComparison(when, metric.name, number, None, why or metric.note)
        if not number.same_model:
            why = _join(why, "another model")
        if not self.context.is_whole:
            why = _join(why, "not the whole set")
        return PaperComparison(when, metric.name, number, metric.value - number.value, why)


def _score_scale(metrics: Sequence[Metric]) -> float:
    """Return the factor from scores to the leading metric: 100 for percentages of scores from 0 to 1."""
    return 100.0 if metrics and metrics[0].unit == "%" else 1.0


def _compare_methods(
    by_method: Mapping[str, Sequence[GradedAnswer]], scale: float, weigh: Weight = equal_weight
) -> tuple[MethodComparison, ...]:
    """Compare the final answers of every two methods."""
    found = []
    for first, second in combinations(by_method, 2):
        result = compare_metric(by_method[first], by_method[second], scale, weigh)
        if result is not None:
            found.append(MethodComparison(first, second, result))
    return tuple(found)


def _answered_queries(cells: Sequence[Cell], graded: GradedByCell) -> frozenset[str]:
    """Return the queries that all of *cells*, the seeds of a method, have answered."""
    return frozenset.intersection(
        *(frozenset(each.answer.query.id for each in graded[cell, AFTER]) for cell in cells)
    )


def _ungraded_queries(methods: Iterable[Sequence[Cell]], graded: GradedByCell) -> frozenset[str]:
    """Return the queries with an answer that could not be graded."""
    rows = (
        each for cells in methods for cell in cells for when in (BEFORE, AFTER) for each in graded[cell, when]
    )
    return frozenset(each.answer.query.id for each in rows if not each.grade.is_graded)


def _exclude_uncounted(
    cells: Sequence[Cell], graded: GradedByCell, queries: Collection[str], counted: Collection[str]
) -> dict[tuple[Cell, str], list[GradedAnswer]]:
    """Return the answers to *queries*; grades of queries that are not *counted* are replaced."""

    def masked(each: GradedAnswer) -> GradedAnswer:
        counts = each.answer.query.id in counted or not each.grade.is_graded
        return each if counts else GradedAnswer(each.answer, EXCLUDED)

    return {
        (cell, when): [masked(each) for each in graded[cell, when] if each.answer.query.id in queries]
        for cell in cells
        for when in (BEFORE, AFTER)
    }


def _join(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
