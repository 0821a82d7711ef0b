"""Collect the numbers of a run for the overview, the table of queries and the figures.

A page that is a file collects a whole run once. A live view adds trajectories as they end.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from tpo.plurals import queries
from tpo.report.change_figures import change_figures
from tpo.report.comparison import compare_all
from tpo.report.distribution_figures import distribution_figures
from tpo.report.drift_figures import drift_figures
from tpo.report.figures import Figure
from tpo.report.line_figures import Baselines, RunMeasures, line_figures
from tpo.report.measures import QueryMeasures, measure
from tpo.report.overview import overview, run_reward, sampling_group
from tpo.report.partial_run import PartialRun
from tpo.report.prices import Prices
from tpo.report.query_table import QueryTable
from tpo.report.results import Results
from tpo.report.shared_queries import MIN_SHARE, shared_queries
from tpo.runs.summary import Summary, Tally
from tpo.store.runfile import RunRecord
from tpo.types import Call, Query, Step, Trajectory


@dataclass(frozen=True, slots=True)
class CollectedRun:
    """Numbers of a run: its overview, its measures for figures, and the columns of its table of queries."""

    overview: dict[str, Any]
    measures: RunMeasures
    table: dict[str, Any]


@dataclass
class RunCollector:
    """Collector of a run's numbers from trajectories added one at a time; texts are not kept.

    *number* is the number of the run on the page. A failed query that is retried keeps its row; a finished
    query cannot be added again.
    """

    name: str
    number: int
    table: QueryTable = field(default_factory=QueryTable)
    measures: list[QueryMeasures] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    """Row of each query in the table."""
    _failed: dict[str, Trajectory] = field(default_factory=dict)
    """Trajectories of failed queries, without texts."""
    _finished: Tally = field(default_factory=Tally)
    _all: Tally | None = field(default_factory=Tally)
    """Totals of all queries; None if they must be computed again because a failed query was retried."""
    _answers: float = 0.0
    """Sum of the rewards of the answers of finished queries."""
    _answered: int = 0

    def is_finished(self, query: str) -> bool:
        """Return whether *query* is finished and must not be added again."""
        return query in self.rows and query not in self._failed

    def has_failed(self, query: str) -> bool:
        """Return whether the last line of *query* is a failure."""
        return query in self._failed

    def add(self, trajectory: Trajectory) -> int:
        """Add *trajectory* and return its row.

        Raises:
            ValueError: its query is already finished.
        """
        numbers = measure(trajectory)
        row = self._assign_row(trajectory, numbers)
        self.count(trajectory)
        if numbers.finished and numbers.steps[0].rewards:
            self.measures.append(numbers)
        return row

    def replace_row(self, trajectory: Trajectory, numbers: QueryMeasures) -> None:
        """Show *trajectory* in its query's row; totals and measures keep the earlier one."""
        self.table.replace(self.rows[trajectory.query.id], trajectory, numbers)

    def count(self, trajectory: Trajectory) -> None:
        """Add *trajectory* to the totals only; a failed query may come again."""
        query = trajectory.query.id
        if self._failed.pop(query, None) is not None:
            self._all = None
        if self._all is not None:
            self._all.add(trajectory)
        if trajectory.status == "finished":
            self._finished.add(trajectory)
            best = trajectory.best
            if best is not None and best.score is not None:
                self._answers += best.reward
                self._answered += 1
        else:
            steps = tuple(_without_texts(step) for step in trajectory.steps)
            first = _without_texts(trajectory.first)
            self._failed[query] = replace(trajectory, query=Query(query, ()), first=first, steps=steps)

    @property
    def answer_mean(self) -> float | None:
        """Mean reward of the answers of finished queries; a selection may take others than the best."""
        return self._answers / self._answered if self._answered else None

    def summary(self, seconds: float) -> Summary:
        """Return the totals so far; *seconds* is the wall time."""
        if self._all is None:
            self._all = copy.deepcopy(self._finished)
            for trajectory in self._failed.values():
                self._all.add(trajectory)
        return self._all.summary(seconds)

    def run_measures(self, record: RunRecord | None) -> RunMeasures:
        """Return the measures so far, for figures."""
        reward, reward_name = run_reward(record, self.name)
        group = sampling_group(record, self.name)
        return RunMeasures(self.name, self.number, tuple(self.measures), group, reward, reward_name)

    def collect(self, run: PartialRun, prices: Prices | None) -> CollectedRun:
        """Return all numbers so far, with the configuration from the record of *run*."""
        summary = self.summary(run.record.seconds if run.record else 0.0)
        head = overview(self.name, run, summary, prices, self.answer_mean)
        return CollectedRun(head, self.run_measures(run.record), dict(self.table.columns))

    def _assign_row(self, trajectory: Trajectory, numbers: QueryMeasures) -> int:
        query = trajectory.query.id
        if self.is_finished(query):
            raise ValueError(f"query {query!r} is already finished")
        row = self.rows.setdefault(query, len(self.rows))
        if query in self._failed:
            self.table.replace(row, trajectory, numbers)
        else:
            self.table.add(trajectory, numbers)
        return row


def _without_texts(step: Step) -> Step:
    """Return *step* with the roles and usage of its calls only."""
    return Step(
        step.number, tuple(Call(each.phase, (), role=each.role, usage=each.usage) for each in step.calls)
    )


def run_figures(
    runs: Sequence[RunMeasures], baselines: Baselines = (), *, min_share: float = MIN_SHARE
) -> list[Figure]:
    """Return the figures of *runs*, one set per reward; no figures if no query has finished.

    Runs with the same reward are drawn on the queries that all of them finished. A run that has finished less
    than *min_share* of the queries of the largest run is excluded. *baselines* belong to the first reward.
    """
    by_reward: dict[str, list[RunMeasures]] = {}
    for run in runs:
        if run.measures:
            by_reward.setdefault(run.reward, []).append(run)
    found: list[Figure] = []
    for number, together in enumerate(by_reward.values()):
        drawn, note = _shared(together, min_share)
        figures = [*line_figures(drawn, () if number else baselines), *drift_figures(drawn)]
        figures += [*change_figures(drawn), *distribution_figures(drawn)]
        if len(by_reward) > 1:
            figures = [_of_reward(figure, number, drawn[0].reward_name) for figure in figures]
        found += [replace(figure, caption=f"{figure.caption}{note}") for figure in figures]
    return found


def _shared(runs: Sequence[RunMeasures], min_share: float) -> tuple[list[RunMeasures], str]:
    """Return the runs to draw, restricted to shared queries, and a note for the caption."""
    shared = shared_queries([run.queries for run in runs], min_share)
    compared = [run for number, run in enumerate(runs) if number not in shared.apart]
    notes = [
        f" {runs[number].name} has finished only {queries(len(runs[number].measures))} and is not drawn."
        for number in sorted(shared.apart)
    ]
    if len(compared) < 2 or all(run.queries == shared.queries for run in compared):
        return compared, "".join(notes)
    if not shared.queries:
        notes.append(" The runs share no query: each line covers other queries, so do not compare them.")
        return compared, "".join(notes)
    most = max(len(run.measures) for run in compared)
    notes.append(f" On the {len(shared.queries):,} of {most:,} queries that all of these runs finished.")
    return [run.restricted_to(shared.queries) for run in compared], "".join(notes)


def _of_reward(figure: Figure, number: int, reward: str) -> Figure:
    """Return *figure* with its *reward* in the title and the reward's *number* in the name."""
    suffix = f"-reward{number + 1}"
    return replace(figure, name=figure.name + suffix, title=f"{figure.title}, reward {reward}")


def page_summary(
    runs: Sequence[CollectedRun],
    figures: Sequence[Figure],
    results: Results | None = None,
    *,
    compare: bool = True,
) -> dict[str, Any]:
    """Return the value of the page's ``summary()`` as JSON values."""
    return {
        "version": metadata.version("tpo"),
        "runs": [run.overview for run in runs],
        "results": results.record() if results is not None else None,
        **figures_and_comparisons([run.measures for run in runs] if compare else [], figures),
    }


def figures_and_comparisons(runs: Sequence[RunMeasures], figures: Sequence[Figure]) -> dict[str, Any]:
    """Return the slow part of ``summary()``: *figures*, and the comparison of every pair of *runs*."""
    return {
        "figures": [figure.record() for figure in figures],
        "comparisons": [comparison.record() for comparison in compare_all(runs)],
    }


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return the names of the directories *paths*, with the parent's name where two are the same."""
    names = [path.resolve().name for path in paths]
    counts = Counter(names)
    return [
        f"{path.resolve().parent.name}/{name}" if counts[name] > 1 else name
        for path, name in zip(paths, names, strict=True)
    ]
