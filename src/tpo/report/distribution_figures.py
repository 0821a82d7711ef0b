"""Figures of distributions over queries: gains, and the steps that gave the answers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tpo.report.figures import Figure, Point, Series
from tpo.report.line_figures import RunMeasures
from tpo.report.statistics import histogram


def distribution_figures(runs: Sequence[RunMeasures]) -> list[Figure]:
    """Return all distribution figures of *runs*; without the gains if no run has an update."""
    return [*_gains(runs), _answer_step(runs)]


def _gains(runs: Sequence[RunMeasures]) -> list[Figure]:
    values = [[m.gain for m in run.measures if m.gain is not None] for run in runs]
    gaining = [(run, gains) for run, gains in zip(runs, values, strict=True) if gains]
    if not gaining:
        return []
    edges, parts = histogram([gains for _, gains in gaining])
    middles = [(left + right) / 2 for left, right in pairwise(edges)]
    series = tuple(
        Series(run.name, run.number, _dots(middles, part, len(gains)))
        for (run, gains), part in zip(gaining, parts, strict=True)
    )
    caption = (
        "Reward of the best update minus the best first sample of the same query. Below zero every update is"
        " worse: without --select, the answer is a first sample."
    )
    width = edges[1] - edges[0]
    return [Figure("gains", "Gains", caption, "gain", "share of queries", "histogram", series, width=width)]


def _answer_step(runs: Sequence[RunMeasures]) -> Figure:
    depth = max((run.depth for run in runs), default=0)
    series = []
    for run in runs:
        steps = [m.answer_step for m in run.measures]
        part = [steps.count(step) / max(len(steps), 1) for step in range(depth)]
        series.append(Series(run.name, run.number, _dots(list(range(depth)), part, len(steps))))
    return Figure(
        name="answer-step",
        title="Step of the answer",
        caption="The step that sampled the answer; step 0 is the first samples.",
        x="step",
        y="share of queries",
        kind="bars",
        series=tuple(series),
        whole_x=True,
    )


def _dots(places: Sequence[float], parts: Sequence[float], queries: int) -> tuple[Point, ...]:
    return tuple(Point(x, y, queries=queries) for x, y in zip(places, parts, strict=True))
