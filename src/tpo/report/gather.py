"""A run's numbers, gathered in passing: what the overview, the table and the figures are made of.

A page that is a file gathers a whole run once; a live view adds trajectories as they end and asks again.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from tpo.counting import queries
from tpo.report.comparison import compare_all
from tpo.report.curves import Baselines, Measured, curves
from tpo.report.figures import Figure
from tpo.report.index import Index
from tpo.report.measures import Measures, measure
from tpo.report.overview import group, overview, reward_of
from tpo.report.prices import Prices
from tpo.report.results import Results
from tpo.report.salvage import Salvaged
from tpo.report.shared_queries import LEAST, shared_queries
from tpo.report.shares import shares
from tpo.runs.summary import Summary, Tally
from tpo.store.runfile import RunRecord
from tpo.types import Query, Step, Trajectory


@dataclass(frozen=True, slots=True)
class Gathered:
    """A run in numbers: what the page says of it, what figures are drawn from, its table's columns."""

    overview: dict[str, Any]
    measured: Measured
    index: dict[str, Any]


@dataclass
class Gathering:
    """Trajectories, added one at a time, in memory that does not grow with their texts.

    *number* is the run's on the page. A query that failed and is tried again takes the row that it had; one
    that is finished is so for good.
    """

    name: str
    number: int
    index: Index = field(default_factory=Index)
    measures: list[Measures] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    """By query, its row in the table."""
    _failed: dict[str, Trajectory] = field(default_factory=dict)
    """Without their texts."""
    _finished: Tally = field(default_factory=Tally)
    _all: Tally | None = field(default_factory=Tally)
    """None: to be added up again, since what failed failed no longer."""

    def settled(self, query: str) -> bool:
        """Whether *query* is finished, and must not be added again."""
        return query in self.rows and query not in self._failed

    def add(self, trajectory: Trajectory) -> int:
        """Take *trajectory* into account; its row.

        Raises:
            ValueError: its query is finished already.
        """
        query, numbers = trajectory.query.id, measure(trajectory)
        row = self._place(trajectory, numbers)
        if self._failed.pop(query, None) is not None:
            self._all = None
        if self._all is not None:
            self._all.add(trajectory)
        if numbers.finished:
            self._finished.add(trajectory)
        else:
            self._failed[query] = replace(trajectory, query=Query(query, ()), first=Step(0), steps=())
        if numbers.finished and numbers.steps[0].rewards:
            self.measures.append(numbers)
        return row

    def summary(self, seconds: float) -> Summary:
        """Everything so far; *seconds* of wall time."""
        if self._all is None:
            self._all = copy.deepcopy(self._finished)
            for trajectory in self._failed.values():
                self._all.add(trajectory)
        return self._all.summary(seconds)

    def measured(self, record: RunRecord | None) -> Measured:
        """What figures are drawn from, as it is now."""
        reward, reward_name = reward_of(record, self.name)
        alike = group(record, self.name)
        return Measured(self.name, self.number, tuple(self.measures), alike, reward, reward_name)

    def gathered(self, run: Salvaged, prices: Prices | None) -> Gathered:
        """Everything so far, with what *run*'s record tells of it."""
        summary = self.summary(run.record.seconds if run.record else 0.0)
        told = overview(self.name, run, summary, prices)
        return Gathered(told, self.measured(run.record), dict(self.index.columns))

    def _place(self, trajectory: Trajectory, numbers: Measures) -> int:
        query = trajectory.query.id
        if self.settled(query):
            raise ValueError(f"query {query!r} is finished already")
        row = self.rows.setdefault(query, len(self.rows))
        if query in self._failed:
            self.index.replace(row, trajectory, numbers)
        else:
            self.index.add(trajectory, numbers)
        return row


def draw_figures(
    runs: Sequence[Measured], baselines: Baselines = (), *, least: float = LEAST
) -> list[Figure]:
    """Return the figures of *runs*, a set for each reward; none where no query has finished.

    Runs of one reward are drawn on the queries that all of them finished. A run that has finished less than
    the share *least* of the queries of the fullest is left out. *baselines* are of the first run's reward.
    """
    by_reward: dict[str, list[Measured]] = {}
    for run in runs:
        if run.measures:
            by_reward.setdefault(run.reward, []).append(run)
    found: list[Figure] = []
    for number, together in enumerate(by_reward.values()):
        drawn, note = _shared(together, least)
        figures = [*curves(drawn, () if number else baselines), *shares(drawn)]
        if len(by_reward) > 1:
            figures = [_of_reward(figure, number, drawn[0].reward_name) for figure in figures]
        found += [replace(figure, caption=f"{figure.caption}{note}") for figure in figures]
    return found


def _shared(runs: Sequence[Measured], least: float) -> tuple[list[Measured], str]:
    """Return the runs that are drawn together, on shared queries, and what the caption says of that."""
    shared = shared_queries([run.queries for run in runs], least)
    compared = [run for number, run in enumerate(runs) if number not in shared.apart]
    told = [
        f" {runs[number].name} has finished only {queries(len(runs[number].measures))} and is not drawn."
        for number in sorted(shared.apart)
    ]
    if len(compared) < 2 or all(run.queries == shared.queries for run in compared):
        return compared, "".join(told)
    if not shared.queries:
        told.append(" The runs share no query: each line is of its own queries, so compare none of them.")
        return compared, "".join(told)
    most = max(len(run.measures) for run in compared)
    told.append(f" On the {len(shared.queries):,} of {most:,} queries that all of these runs finished.")
    return [run.on(shared.queries) for run in compared], "".join(told)


def _of_reward(figure: Figure, number: int, reward: str) -> Figure:
    """Return *figure* named for its *reward*, the one of this *number* on the page."""
    suffix = f"-reward{number + 1}"
    return replace(figure, name=figure.name + suffix, title=f"{figure.title}, reward {reward}")


def page_summary(
    runs: Sequence[Gathered], figures: Sequence[Figure], results: Results | None = None
) -> dict[str, Any]:
    """What the page's ``summary()`` promises, in JSON's own types."""
    return {
        "version": metadata.version("tpo"),
        "runs": [run.overview for run in runs],
        "results": results.record() if results is not None else None,
        **drawings([run.measured for run in runs], figures),
    }


def drawings(runs: Sequence[Measured], figures: Sequence[Figure]) -> dict[str, Any]:
    """The part of ``summary()`` that takes its time: *figures*, and each two of *runs* compared."""
    return {
        "figures": [figure.record() for figure in figures],
        "comparisons": [comparison.record() for comparison in compare_all(runs)],
    }


def told_apart(paths: Sequence[Path]) -> list[str]:
    """The names of the directories *paths*, with their parents' where two are alike."""
    names = [path.resolve().name for path in paths]
    alike = Counter(names)
    return [
        f"{path.resolve().parent.name}/{name}" if alike[name] > 1 else name
        for path, name in zip(paths, names, strict=True)
    ]
