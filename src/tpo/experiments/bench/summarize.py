"""Grades into metrics: one estimator for every number of a benchmark.

A score is averaged over seeds first, so that a query is one observation. A query counts when each of its
answers has a grade. A metric is a ratio of sums over queries, of weighted scores to weights: the mean where
answers weigh the same. The change is the difference of two such ratios over the same queries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import fsum

from tpo.experiments.bench.grading import Context, Grade, Graded, Metric, Summarize, Weigh, equally
from tpo.report.bootstrap import Estimate
from tpo.report.statistics import (
    PairedComparison,
    bootstrap_ratios,
    compare_ratios,
    compare_shares,
    wilson_interval,
)


def by_query(graded: Sequence[Graded], weigh: Weigh = equally) -> dict[str, tuple[float, float]]:
    """Return by query the weighted score and the weight, both averaged over seeds.

    A query that lacks the answer of a seed, or a grade, is left out.
    """
    answers: dict[str, list[Graded]] = defaultdict(list)
    for each in graded:
        answers[each.answer.query.id].append(each)
    seeds = {each.answer.seed for each in graded}
    return {
        query: _averaged([each.grade for each in of], weigh)
        for query, of in answers.items()
        if {each.answer.seed for each in of if each.grade.is_graded} == seeds
        and all(each.grade.is_graded for each in of)
    }


def mean_metric(
    name: str,
    graded: Sequence[Graded],
    *,
    scale: float = 1.0,
    unit: str = "",
    by: str = "",
    note: str = "",
    weigh: Weigh = equally,
) -> Metric:
    """Return the mean score times *scale* with its 95% interval.

    The interval is Wilson's for a share of answers that are right or wrong, and by bootstrap over queries
    otherwise.
    """
    found = by_query(graded, weigh)
    seeds = len({each.answer.seed for each in graded})
    count = len(found) * seeds
    if not found:
        note = "; ".join(filter(None, ("nothing could be graded", note)))
        return Metric(name, None, unit=unit, ungraded=len(graded), by=by, note=note)
    shares = unit == "%" and _are_shares(graded, found)
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
    estimate = estimate.clipped(0.0, scale) if unit == "%" else estimate
    bounds = (estimate.value, estimate.low, estimate.high)
    return Metric(name, *bounds, unit, count, len(graded) - count, by, note, estimate.skewed)


def compare(
    first: Sequence[Graded], second: Sequence[Graded], scale: float = 1.0, weigh: Weigh = equally
) -> PairedComparison | None:
    """Compare the metrics of *first* and *second* on the queries that count in both; None without any."""
    here, there = by_query(first, weigh), by_query(second, weigh)
    both = [query for query in here if query in there]
    if not both:
        return None
    sides = [[values[query] for query in both] for values in (here, there)]
    if scale != 1.0 and _one_seed(first) and _one_seed(second):
        single = [_are_shares(graded, values) for graded, values in ((first, here), (second, there))]
        if all(single):
            return compare_shares(*([value for value, _ in side] for side in sides)).scaled(scale)
    values = [[scale * value for value, _ in side] for side in sides]
    weights = [[weight for _, weight in side] for side in sides]
    found = compare_ratios(*values, *weights)
    return found.clipped(-scale, scale) if scale != 1.0 else found


def mean_score(name: str, *, scale: float = 1.0, unit: str = "", by: str = "") -> Summarize:
    """Return a summary of one metric, the mean; graded by *by*, else by the judge, whose name it takes."""

    def summarize(graded: Sequence[Graded], context: Context) -> tuple[Metric, ...]:
        judge = context.judge.name if context.judge is not None else ""
        return (mean_metric(name, graded, scale=scale, unit=unit, by=by or judge),)

    return summarize


def _averaged(grades: Sequence[Grade], weigh: Weigh) -> tuple[float, float]:
    weights = [weigh(grade) for grade in grades]
    values = [weight * (grade.score or 0.0) for weight, grade in zip(weights, grades, strict=True)]
    return fsum(values) / len(grades), fsum(weights) / len(grades)


def _are_shares(graded: Sequence[Graded], found: Mapping[str, tuple[float, float]]) -> bool:
    """Return whether each score that counts is 0 or 1, and weighs as much as every other."""
    scores = {each.grade.score for each in graded if each.answer.query.id in found}
    return scores <= {0.0, 1.0} and all(weight == 1.0 for _, weight in found.values())


def _one_seed(graded: Sequence[Graded]) -> bool:
    return len({each.answer.seed for each in graded}) == 1
