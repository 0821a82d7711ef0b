"""Figures of over-optimization by step: check reward, disagreement of an ensemble, similarity."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tpo.report.figures import Figure, Series, points
from tpo.report.line_figures import RunMeasures
from tpo.report.measures import StepMeasures
from tpo.report.statistics import bootstrap_ratios


def drift_figures(runs: Sequence[RunMeasures]) -> list[Figure]:
    """Return those of the figures that some of *runs* have values for."""
    figures = [
        Figure(
            name="check-reward",
            title="Check reward by step",
            caption="Mean score, by a reward that guides nothing, of the best response so far by the guiding"
            " reward. Where the guiding reward rises and this falls, the method exploits its reward.",
            x="step",
            y="mean check reward of the best",
            kind="line",
            series=_series(runs, lambda step: step.best_check, stays=True),
            whole_x=True,
        ),
        Figure(
            name="disagreement",
            title="Disagreement of the ensemble by step",
            caption="Standard deviation over the members' scores of a response, each in standard deviations"
            " of the query's pool. Responses that exploit one member divide the members.",
            x="step",
            y="standard deviation over members",
            kind="line",
            series=_series(runs, lambda step: step.disagreement),
            whole_x=True,
        ),
        Figure(
            name="similarity",
            title="Similarity to the first samples by step",
            caption="Share of a response's word pairs that occur in a first sample of the query (of first"
            " samples: in another one).",
            x="step",
            y="share of word pairs",
            kind="line",
            series=_series(runs, lambda step: step.similarity),
            whole_x=True,
        ),
    ]
    return [figure for figure in figures if any(series.points for series in figure.series)]


def _series(
    runs: Sequence[RunMeasures], value: Callable[[StepMeasures], float | None], *, stays: bool = False
) -> tuple[Series, ...]:
    """Return a line for each run that has values: means over queries, by step.

    A value that *stays* is still that of a query which ended before.
    """
    lines = []
    for run in runs:
        found = [[value(step) for step in measures.steps] for measures in run.measures]
        rows = [row + [row[-1] if stays and row else None] * (run.depth - len(row)) for row in found]
        weights = [[0.0 if each is None else 1.0 for each in row] for row in rows]
        counts = [sum(int(row[step]) for row in weights) for step in range(run.depth)]
        if any(counts):
            means = bootstrap_ratios([[each or 0.0 for each in row] for row in rows], weights)
            lines.append(Series(run.name, run.number, points(range(run.depth), means, counts)))
    return tuple(lines)
