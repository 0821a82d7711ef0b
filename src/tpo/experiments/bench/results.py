"""What a benchmark came to: each method before and after, the change, and the paper's numbers beside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tpo.experiments.bench.arms import AFTER, BEFORE, Arm
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.grading import Context, Graded, Metric
from tpo.experiments.bench.paper import TPO_METHODS, PaperNumber, is_model, paper_number
from tpo.experiments.bench.summarize import by_query
from tpo.report.statistics import Paired, paired


@dataclass(frozen=True, slots=True)
class Against:
    """*first* less *second*, query by query, by their mean scores over seeds."""

    first: str
    second: str
    paired: Paired


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
    """A method over all its seeds."""

    method: str
    seeds: tuple[int, ...]
    missing: int
    by_when: Mapping[str, tuple[Metric, ...]]
    by_seed: Mapping[int, Mapping[str, tuple[Metric, ...]]]
    strata: Mapping[str, Mapping[str, tuple[float, int]]]
    change: Paired | None
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

    def result(self, arms: Sequence[Arm], graded: ArmGraded, missing: Mapping[Arm, int]) -> MethodResult:
        """Of the *arms* of one method, one a seed."""
        pooled = {when: [g for arm in arms for g in graded[arm, when]] for when in (BEFORE, AFTER)}
        by_when = {when: self.metrics(pooled[when]) for when in pooled}
        return MethodResult(
            method=arms[0].method,
            seeds=tuple(arm.seed for arm in arms),
            missing=sum(missing[arm] for arm in arms),
            by_when=by_when,
            by_seed={arm.seed: {when: self.metrics(graded[arm, when]) for when in pooled} for arm in arms},
            strata={when: self._strata(pooled[when]) for when in pooled},
            change=compare(pooled[AFTER], pooled[BEFORE], unit(by_when[AFTER])),
            beside=self._beside(arms[0], by_when) if self.shows_paper else (),
        )

    def metrics(self, graded: Sequence[Graded]) -> tuple[Metric, ...]:
        """The benchmark's own, each with a word on a judge or reward that is not the paper's."""
        found = self.benchmark.summarize(graded, self.context)
        return tuple(
            replace(metric, note=_joined(metric.note, self._not_the_papers(metric))) for metric in found
        )

    def _not_the_papers(self, metric: Metric) -> str:
        """Why the paper's number is another measure; nothing where it is the same."""
        judge, reward = self.benchmark.paper_judge, self.benchmark.paper_reward
        if judge is not None and not is_model(metric.by, judge):
            return f"not the paper's judge, {judge}"
        if reward is not None and not is_model(metric.by, reward):
            return f"not the paper's reward, {reward}"
        return ""

    def _strata(self, graded: Sequence[Graded]) -> Mapping[str, tuple[float, int]]:
        """Mean score and count by stratum, in the score's own unit."""
        stratum = self.benchmark.stratum
        scores: dict[str, list[float]] = defaultdict(list)
        for each in graded if stratum is not None else ():
            if each.grade.score is not None:
                scores[str(each.answer.query.metadata.get(stratum or ""))].append(each.grade.score)
        return {name: (sum(of) / len(of), len(of)) for name, of in sorted(scores.items())}

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
        if metric.value is None or (self.benchmark.paper_reward is not None and why):
            return Beside(when, metric.name, number, None, why or metric.note)
        if not number.same_model:
            why = _joined(why, "another model")
        if not self.context.is_whole:
            why = _joined(why, "not the whole set")
        return Beside(when, metric.name, number, metric.value - number.value, why)


def unit(metrics: Sequence[Metric]) -> float:
    """What a score is multiplied by for the leading metric: percentages are of scores from 0 to 1."""
    return 100.0 if metrics and metrics[0].unit == "%" else 1.0


def compare(first: Sequence[Graded], second: Sequence[Graded], scale: float) -> Paired | None:
    """*first* less *second*, times *scale*, over the queries that both have a score for, seeds averaged.

    None where there is no such query.
    """
    here, there = by_query(first), by_query(second)
    both = [name for name in here if name in there]
    if not both:
        return None
    return paired([scale * _mean(here[name]) for name in both], [scale * _mean(there[name]) for name in both])


def compare_methods(by_method: Mapping[str, Sequence[Graded]], scale: float) -> tuple[Against, ...]:
    """Every two methods by their final answers."""
    names = list(by_method)
    found = []
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            result = compare(by_method[first], by_method[second], scale)
            if result is not None:
                found.append(Against(first, second, result))
    return tuple(found)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
