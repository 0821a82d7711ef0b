"""Results of a benchmark: each method before and after, the change, and the paper's numbers beside.

Methods are compared on the queries that all of them answered under every seed, and whose answers could all be
graded: a query that one method lacks is in no number of the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from tpo.experiments.bench.arms import AFTER, BEFORE, Arm
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.grading import Context, Grade, Graded, Metric, Weigh, equally
from tpo.experiments.bench.paper import TPO_METHODS, PaperNumber, is_model, paper_number
from tpo.experiments.bench.summarize import by_query, compare
from tpo.report.shared_queries import shared_queries
from tpo.report.statistics import PairedComparison

LEFT_OUT = Grade(None, "left out", {"reason": "another answer to this query has no grade"})


@dataclass(frozen=True, slots=True)
class Against:
    """*first* less *second* by their final answers, on the same queries."""

    first: str
    second: str
    paired: PairedComparison


@dataclass(frozen=True, slots=True)
class Beside:
    """One of our numbers and the paper's; no *difference* where the measures differ, and *why* tells."""

    when: str
    metric: str
    paper: PaperNumber
    difference: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class MethodResult:
    """A method over all its seeds.

    Attributes:
        method: its name with its shape.
        seeds: all that it was run with.
        queries: queries that its numbers are of.
        missing: answers that are not there, those of all seeds together.
        missing_by_seed: likewise, by seed.
        ungraded: answers, before and after, that could not be graded, and the *reason* of the first.
        apart: whether it lacks so many queries that it is compared with no other method.
        by_when: the metrics before and after.
        by_seed: likewise, by seed.
        strata: mean score and number of answers by kind of query.
        change: after less before.
        beside: the paper's numbers.
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
    beside: tuple[Beside, ...]

    def record(self) -> dict[str, Any]:
        """In JSON's own types."""
        return asdict(self)


ArmGraded = Mapping[tuple[Arm, str], Sequence[Graded]]
"""Answers with grades, by arm and when."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes results of graded answers: *policy* and the paper's *model* to stand beside are names."""

    benchmark: Benchmark
    context: Context
    policy: str
    shows_paper: bool = False
    model: str | None = None

    def results(
        self, methods: Mapping[str, Sequence[Arm]], graded: ArmGraded, missing: Mapping[Arm, int]
    ) -> tuple[list[MethodResult], tuple[Against, ...]]:
        """Return the results of *methods*, each with its arms (one a seed), and each two compared."""
        answered = [_answered(arms, graded) for arms in methods.values()]
        shared = shared_queries(answered)
        compared = [arms for n, arms in enumerate(methods.values()) if n not in shared.apart]
        counted = shared.queries - _without_grade(compared, graded)
        found, final = [], {}
        for number, (name, arms) in enumerate(methods.items()):
            apart = number in shared.apart and len(methods) > 1
            queries = answered[number] if apart else shared.queries
            counts = queries - _without_grade([arms], graded) if apart else counted
            own = _counting(arms, graded, queries, counts)
            found.append(self._result(arms, own, missing, apart=apart))
            if not apart:
                final[name] = [each for arm in arms for each in own[arm, AFTER]]
        scale = unit(found[0].by_when[AFTER])
        return found, compare_methods(final, scale, self.benchmark.weigh)

    def _result(
        self, arms: Sequence[Arm], graded: ArmGraded, missing: Mapping[Arm, int], *, apart: bool
    ) -> MethodResult:
        pooled = {when: [g for arm in arms for g in graded[arm, when]] for when in (BEFORE, AFTER)}
        by_when = {when: self.metrics(pooled[when]) for when in pooled}
        weigh = self.benchmark.weigh
        reasons = [
            each.grade.details.get("reason", "")
            for of in pooled.values()
            for each in of
            if not each.grade.is_graded and each.grade is not LEFT_OUT
        ]
        return MethodResult(
            method=arms[0].method,
            seeds=tuple(arm.seed for arm in arms),
            queries=len(by_query(pooled[AFTER], weigh)),
            missing=sum(missing[arm] for arm in arms),
            missing_by_seed={arm.seed: missing[arm] for arm in arms},
            ungraded=len(reasons),
            reason=reasons[0] if reasons else "",
            apart=apart,
            by_when=by_when,
            by_seed={arm.seed: {when: self.metrics(graded[arm, when]) for when in pooled} for arm in arms},
            strata={when: self._strata(pooled[when]) for when in pooled},
            change=None if apart else compare(pooled[AFTER], pooled[BEFORE], unit(by_when[AFTER]), weigh),
            beside=self._beside(arms[0], by_when) if self.shows_paper else (),
        )

    def metrics(self, graded: Sequence[Graded]) -> tuple[Metric, ...]:
        """The benchmark's own, each with a word on a judge or reward that is not the paper's."""
        found = self.benchmark.summarize(graded, self.context)
        return tuple(
            replace(metric, note=_joined(metric.note, self._not_the_papers(metric))) for metric in found
        )

    def _not_the_papers(self, metric: Metric) -> str:
        """Return why the paper's number is another measure; nothing where it is the same."""
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

    def _strata(self, graded: Sequence[Graded]) -> Mapping[str, tuple[float, int]]:
        """Mean score and count by stratum, in the score's own unit."""
        stratum, kinds = self.benchmark.stratum, defaultdict(list)
        for each in graded if stratum is not None else ():
            kinds[str(each.answer.query.metadata.get(stratum or ""))].append(each)
        found = {kind: by_query(of, self.benchmark.weigh).values() for kind, of in sorted(kinds.items())}
        seeds = len({each.answer.seed for each in graded})
        return {
            kind: (sum(value for value, _ in of) / sum(weight for _, weight in of), len(of) * seeds)
            for kind, of in found.items()
            if of
        }

    def _beside(self, arm: Arm, by_when: Mapping[str, Sequence[Metric]]) -> tuple[Beside, ...]:
        columns = dict(self.benchmark.paper)
        found = []
        for when, metrics in by_when.items():
            for metric in metrics:
                number = self._number(arm, when, columns.get(metric.name))
                if number is not None:
                    found.append(self._held(when, metric, number))
        return tuple(found)

    def _number(self, arm: Arm, when: str, column: str | None) -> PaperNumber | None:
        recipe = arm.recipe
        if column is None or (when == AFTER and recipe.name not in TPO_METHODS):
            return None
        shape = f"D{recipe.max_iterations}-N{recipe.sample_size}" if when == AFTER else None
        return paper_number(self.policy, column, shape=shape, reward=self.context.reward, wanted=self.model)

    def _held(self, when: str, metric: Metric, number: PaperNumber) -> Beside:
        why = self._not_the_papers(metric)
        other = self._other_opponent or (self.benchmark.paper_reward is not None and why)
        if metric.value is None or other:
            return Beside(when, metric.name, number, None, why or metric.note)
        if not number.same_model:
            why = _joined(why, "another model")
        if not self.context.is_whole:
            why = _joined(why, "not the whole set")
        return Beside(when, metric.name, number, metric.value - number.value, why)


def unit(metrics: Sequence[Metric]) -> float:
    """What a score is multiplied by for the leading metric: percentages are of scores from 0 to 1."""
    return 100.0 if metrics and metrics[0].unit == "%" else 1.0


def compare_methods(
    by_method: Mapping[str, Sequence[Graded]], scale: float, weigh: Weigh = equally
) -> tuple[Against, ...]:
    """Compare every two methods by their final answers."""
    found = []
    for first, second in combinations(by_method, 2):
        result = compare(by_method[first], by_method[second], scale, weigh)
        if result is not None:
            found.append(Against(first, second, result))
    return tuple(found)


def _answered(arms: Sequence[Arm], graded: ArmGraded) -> frozenset[str]:
    """Return the queries that every one of *arms*, the seeds of a method, has answered."""
    return frozenset.intersection(
        *(frozenset(each.answer.query.id for each in graded[arm, AFTER]) for arm in arms)
    )


def _without_grade(methods: Iterable[Sequence[Arm]], graded: ArmGraded) -> frozenset[str]:
    """Return the queries of which an answer could not be graded."""
    rows = (
        each for arms in methods for arm in arms for when in (BEFORE, AFTER) for each in graded[arm, when]
    )
    return frozenset(each.answer.query.id for each in rows if not each.grade.is_graded)


def _counting(
    arms: Sequence[Arm], graded: ArmGraded, queries: Collection[str], counted: Collection[str]
) -> dict[tuple[Arm, str], list[Graded]]:
    """Return the answers to *queries*, with a grade only where the query is *counted*."""

    def seen(each: Graded) -> Graded:
        counts = each.answer.query.id in counted or not each.grade.is_graded
        return each if counts else Graded(each.answer, LEFT_OUT)

    return {
        (arm, when): [seen(each) for each in graded[arm, when] if each.answer.query.id in queries]
        for arm in arms
        for when in (BEFORE, AFTER)
    }


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
