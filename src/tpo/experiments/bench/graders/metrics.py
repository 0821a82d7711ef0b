"""Metrics from grades, with one estimator for every number of a benchmark.

Scores are averaged over seeds first, so a query is one observation. A query counts if each of its answers has
a grade. A metric is the ratio of summed weighted scores to summed weights over queries: the mean if all
weights are equal. A change is the difference of two such ratios over the same queries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import fsum

from tpo.experiments.bench.graders.base import (
    Grade,
    GradedAnswer,
    GradingContext,
    Metric,
    Summarize,
    Weight,
    equal_weight,
)
from tpo.report.bootstrap import Estimate
from tpo.report.statistics import (
    PairedComparison,
    bootstrap_ratios,
    compare_ratios,
    compare_shares,
    wilson_interval,
)


def scores_by_query(
    graded: Sequence[GradedAnswer], weigh: Weight = equal_weight
) -> dict[str, tuple[float, float]]:
    """Return the weighted score and the weight of each query, both averaged over seeds.

    A query without an answer or a grade for some seed is excluded.
    """
    answers: dict[str, list[GradedAnswer]] = defaultdict(list)
    for each in graded:
        answers[each.answer.query.id].append(each)
    seeds = {each.answer.seed for each in graded}
    return {
        query: _average_seeds([each.grade for each in of], weigh)
        for query, of in answers.items()
        if {each.answer.seed for each in of if each.grade.is_graded} == seeds
        and all(each.grade.is_graded for each in of)
    }


def mean_metric(
    name: str,
    graded: Sequence[GradedAnswer],
    *,
    scale: float = 1.0,
    unit: str = "",
    by: str = "",
    note: str = "",
    weigh: Weight = equal_weight,
) -> Metric:
    """Return the mean score times *scale* with its 95% interval.

    The interval is Wilson's for a percentage of right or wrong answers, otherwise a bootstrap over queries.
    A percentage is clipped to 0 and 100 with its interval.
    """
    found = scores_by_query(graded, weigh)
    seeds = len({each.answer.seed for each in graded})
    count = len(found) * seeds
    if not found:
        note = "; ".join(filter(None, ("nothing could be graded", note)))
        return Metric(name, None, unit=unit, ungraded=len(graded), by=by, note=note)
    shares = unit == "%" and _all_zero_or_one(graded, found)
    values = list(found.values())
    estimate: Estimate | None
    if shares:
        estimate = wilson_interval([value for value, _ in values], seeds)
        low, high = (None if bound is None else scale * bound for bound in (estimate.low, estimate.high))
        return Metric(name, scale * estimate.value, low, high, unit, count, len(graded) - count, by, note)
    (estimate,) = bootstrap_ratios(
        [[scale * value] for value, _ in values], [[weight] for _, weight in values]
    )
    assert estimate is not None  # noqa: S101 - weights are above zero
    estimate = estimate.clipped(0.0, 100.0) if unit == "%" else estimate
    bounds = (estimate.value, estimate.low, estimate.high)
    return Metric(name, *bounds, unit, count, len(graded) - count, by, note, estimate.skewed)


def compare_metric(
    first: Sequence[GradedAnswer],
    second: Sequence[GradedAnswer],
    scale: float = 1.0,
    weigh: Weight = equal_weight,
) -> PairedComparison | None:
    """Compare the metrics of *first* and *second* on the queries that count in both; None if none does."""
    here, there = scores_by_query(first, weigh), scores_by_query(second, weigh)
    both = [query for query in here if query in there]
    if not both:
        return None
    sides = [[values[query] for query in both] for values in (here, there)]
    if scale != 1.0 and _has_one_seed(first) and _has_one_seed(second):
        single = [_all_zero_or_one(graded, values) for graded, values in ((first, here), (second, there))]
        if all(single):
            return compare_shares(*([value for value, _ in side] for side in sides)).scaled(scale)
    values = [[scale * value for value, _ in side] for side in sides]
    weights = [[weight for _, weight in side] for side in sides]
    found = compare_ratios(*values, *weights)
    return found.clipped(-scale, scale) if scale != 1.0 else found


def mean_score(name: str, *, scale: float = 1.0, unit: str = "", by: str = "") -> Summarize:
    """Return a summary function with one metric, the mean score; *by* defaults to the judge's name."""

    def summarize(graded: Sequence[GradedAnswer], context: GradingContext) -> tuple[Metric, ...]:
        judge = context.judge.name if context.judge is not None else ""
        return (mean_metric(name, graded, scale=scale, unit=unit, by=by or judge),)

    return summarize


def _average_seeds(grades: Sequence[Grade], weigh: Weight) -> tuple[float, float]:
    weights = [weigh(grade) for grade in grades]
    values = [weight * (grade.score or 0.0) for weight, grade in zip(weights, grades, strict=True)]
    return fsum(values) / len(grades), fsum(weights) / len(grades)


def _all_zero_or_one(graded: Sequence[GradedAnswer], found: Mapping[str, tuple[float, float]]) -> bool:
    """Return whether every score that counts is 0 or 1, with equal weights."""
    scores = {each.grade.score for each in graded if each.answer.query.id in found}
    return scores <= {0.0, 1.0} and all(weight == 1.0 for _, weight in found.values())


def _has_one_seed(graded: Sequence[GradedAnswer]) -> bool:
    return len({each.answer.seed for each in graded}) == 1
