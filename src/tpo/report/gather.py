"""A run's numbers, gathered in passing: what the overview, the table and the figures are made of.

A page that is a file gathers a whole run once; a live view adds trajectories as they end and asks again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from tpo.report.comparison import compare_all
from tpo.report.curves import Baselines, Measured, curves
from tpo.report.figures import Figure
from tpo.report.index import Index
from tpo.report.measures import Measures, measure
from tpo.report.overview import group, overview
from tpo.report.prices import Prices
from tpo.report.salvage import Salvaged
from tpo.report.shares import shares
from tpo.run.summary import Tally
from tpo.types import Trajectory


@dataclass(frozen=True, slots=True)
class Gathered:
    """A run in numbers: what the page says of it, what figures are drawn from, its table's columns."""

    overview: dict[str, Any]
    measured: Measured
    index: dict[str, Any]


@dataclass
class Gathering:
    """Trajectories, added one at a time, each query once; *number* is the run's on the page."""

    name: str
    number: int
    tally: Tally = field(default_factory=Tally)
    index: Index = field(default_factory=Index)
    measures: list[Measures] = field(default_factory=list)

    def add(self, trajectory: Trajectory) -> None:
        """Take *trajectory* into account; its texts are not kept."""
        numbers = measure(trajectory)
        self.tally.add(trajectory)
        self.index.add(trajectory, numbers)
        if numbers.finished and numbers.steps[0].rewards:
            self.measures.append(numbers)

    def gathered(self, run: Salvaged, prices: Prices | None) -> Gathered:
        """Everything so far, with what *run*'s record tells of it."""
        summary = self.tally.summary(run.record.seconds if run.record else 0.0)
        measured = Measured(self.name, self.number, tuple(self.measures), group(run.record, self.name))
        return Gathered(overview(self.name, run, summary, prices), measured, dict(self.index.columns))


def draw_figures(runs: Sequence[Gathered], baselines: Baselines = ()) -> list[Figure]:
    """Every figure of *runs*; none where no query has finished."""
    measured = [run.measured for run in runs]
    if not any(run.measures for run in measured):
        return []
    return [*curves(measured, baselines), *shares(measured)]


def page_summary(runs: Sequence[Gathered], figures: Sequence[Figure]) -> dict[str, Any]:
    """What the page's ``summary()`` promises, in JSON's own types."""
    return {
        "version": metadata.version("tpo"),
        "runs": [run.overview for run in runs],
        "figures": [figure.record() for figure in figures],
        "comparisons": [comparison.record() for comparison in compare_all([run.measured for run in runs])],
    }


def told_apart(paths: Sequence[Path]) -> list[str]:
    """The names of the directories *paths*, with their parents' where two are alike."""
    names = [path.resolve().name for path in paths]
    alike = Counter(names)
    return [
        f"{path.resolve().parent.name}/{name}" if alike[name] > 1 else name
        for path, name in zip(paths, names, strict=True)
    ]
