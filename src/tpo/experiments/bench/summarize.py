"""Grades into metrics: the mean score with its interval."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from tpo.experiments.bench.grading import Context, Graded, Metric, Summarize
from tpo.report.statistics import bootstrap_ratios


def by_query(graded: Sequence[Graded]) -> dict[str, list[float]]:
    """The scores that count, by the id of their query; several seeds give a query several."""
    scores: dict[str, list[float]] = defaultdict(list)
    for each in graded:
        if each.grade.score is not None:
            scores[each.answer.query.id].append(each.grade.score)
    return dict(scores)


def mean_metric(
    name: str, graded: Sequence[Graded], *, scale: float = 1.0, unit: str = "", by: str = "", note: str = ""
) -> Metric:
    """The mean score times *scale*, with a 95% interval by bootstrap over whole queries (percentiles)."""
    scores = by_query(graded)
    rows = [[scale * sum(values)] for values in scores.values()]
    counts = [[float(len(values))] for values in scores.values()]
    estimates = bootstrap_ratios(rows, counts)
    count = sum(map(len, scores.values()))
    missing = len(graded) - count
    if not estimates or estimates[0] is None:
        return Metric(name, None, unit=unit, ungraded=missing, by=by, note=note or "nothing could be graded")
    found = estimates[0]
    return Metric(name, found.value, found.low, found.high, unit, count, missing, by, note)


def mean_score(name: str, *, scale: float = 1.0, unit: str = "", by: str = "") -> Summarize:
    """A summary of one metric, the mean; graded by *by*, else by the judge, whose name it takes."""

    def summarize(graded: Sequence[Graded], context: Context) -> tuple[Metric, ...]:
        judge = context.judge.name if context.judge is not None else ""
        return (mean_metric(name, graded, scale=scale, unit=unit, by=by or judge),)

    return summarize
