"""Figures of how a step's samples differ from the first ones and from each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean, stdev

from tpo.report.figures import Figure, Point, Series, points
from tpo.report.line_figures import RunMeasures
from tpo.report.measures import QueryMeasures
from tpo.report.statistics import bootstrap_means


def change_figures(runs: Sequence[RunMeasures]) -> list[Figure]:
    """Return the figures of *runs*, which have the same reward."""
    return [_change(runs), _stability(runs)]


def _change(runs: Sequence[RunMeasures]) -> Figure:
    return Figure(
        name="change",
        title="Change of the samples' reward",
        caption="Mean reward of the samples of each step minus that of the first samples, query by query."
        " A line that falls below 0 shows a policy that the method makes worse (paper, figure 7).",
        x="step",
        y="change of the mean reward",
        kind="line",
        series=tuple(
            Series(run.name, run.number, _by_query(run, lambda m, s: _mean_reward(m, s) - _mean_reward(m, 0)))
            for run in runs
        ),
        baselines=(("first samples", 0.0),),
        whole_x=True,
    )


def _stability(runs: Sequence[RunMeasures]) -> Figure:
    return Figure(
        name="stability",
        title="Stability over repeated generations",
        caption="Standard deviation of the rewards of a step's samples, the mean over queries with at least"
        " two scored samples in each step. Lower is more stable (paper, figure 4).",
        x="step",
        y="standard deviation of the reward",
        kind="line",
        series=tuple(Series(run.name, run.number, _by_query(run, _deviation, least=2)) for run in runs),
        whole_x=True,
    )


def _by_query(
    run: RunMeasures, value: Callable[[QueryMeasures, int], float], *, least: int = 1
) -> tuple[Point, ...]:
    """Return the mean of *value* by step, over the queries that have *least* scored samples in each step."""
    whole = [
        m for m in run.measures if len(m.steps) == run.depth and all(len(s.rewards) >= least for s in m.steps)
    ]
    steps = range(run.depth)
    rows = [[value(m, s) for s in steps] for m in whole]
    return points(list(steps), bootstrap_means(rows), [len(rows)] * run.depth) if rows else ()


def _mean_reward(measures: QueryMeasures, step: int) -> float:
    return fmean(measures.steps[step].rewards)


def _deviation(measures: QueryMeasures, step: int) -> float:
    return stdev(measures.steps[step].rewards)
