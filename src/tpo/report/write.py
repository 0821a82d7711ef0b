"""From runs to a report: one pass over each, the texts spooled aside, then the page in its order."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from tpo.export.writing import replacing
from tpo.report import page
from tpo.report.blocks import Chunks, block, copied
from tpo.report.comparison import compare_all
from tpo.report.curves import Baselines, Measured, curves
from tpo.report.drawing import draw
from tpo.report.figures import Figure
from tpo.report.index import Index
from tpo.report.measures import Measures, measure
from tpo.report.overview import group, overview
from tpo.report.prices import Prices
from tpo.report.salvage import salvage
from tpo.report.shares import shares
from tpo.report.transcript import transcript
from tpo.run.summary import Tally


@dataclass(frozen=True, slots=True)
class Options:
    """What a report is made with.

    Attributes:
        baselines: single numbers that others reached, by name, drawn across the curves.
        prices: of tokens; None: no cost is told.
        figures: the folder that figures and their data are written to; None: only the page is.
    """

    baselines: Baselines = ()
    prices: Prices | None = None
    figures: Path | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What a report came to: *notes* tell by run what is missing in it."""

    page: Path
    figures: tuple[Path, ...]
    queries: int
    notes: tuple[tuple[str, str], ...]


def write_report(runs: Sequence[Path], out: Path, options: Options = Options()) -> Written:
    """Write the page of the runs in the directories *runs* to *out*, and their figures.

    Memory grows with the number of queries, not with their texts.

    Raises:
        StoreError: one of *runs* is no run's directory, or *out* cannot be written.
        MissingExtra: a library of the extra ``report`` is not installed.
    """
    with tempfile.TemporaryFile() as spool:
        gathered = [_gather(path, name, number, options.prices, spool) for path, name, number in _named(runs)]
        measured = [run.measured for run in gathered]
        figures = [*curves(measured, options.baselines), *shares(measured)] if any_measured(measured) else []
        _write_page(out, gathered, figures, spool)
    files = draw(figures, options.figures) if options.figures is not None else ()
    notes = tuple((run.measured.name, note) for run in gathered for note in run.overview["notes"])
    return Written(out, tuple(files), sum(len(run.index["id"]) for run in gathered), notes)


@dataclass(frozen=True, slots=True)
class _Gathered:
    overview: dict[str, Any]
    measured: Measured
    index: dict[str, Any]


def any_measured(runs: Sequence[Measured]) -> bool:
    """Whether there is anything to draw."""
    return any(run.measures for run in runs)


def _named(runs: Sequence[Path]) -> list[tuple[Path, str, int]]:
    """Each run with its directory's name, told apart where two are alike."""
    names = [path.resolve().name for path in runs]
    alike = Counter(names)
    told = [
        f"{path.resolve().parent.name}/{name}" if alike[name] > 1 else name
        for path, name in zip(runs, names, strict=True)
    ]
    return [(path, name, number) for number, (path, name) in enumerate(zip(runs, told, strict=True))]


def _gather(path: Path, name: str, number: int, prices: Prices | None, spool: IO[bytes]) -> _Gathered:
    """One pass over a run: its numbers and its row in the table are kept, its texts go to *spool*."""
    run = salvage(path)
    tally, index, chunks = Tally(), Index(), Chunks(f"texts-{number}", spool)
    measures: list[Measures] = []
    for trajectory in run.trajectories():
        numbers = measure(trajectory)
        tally.add(trajectory)
        index.add(trajectory, numbers)
        chunks.add(transcript(trajectory))
        if numbers.finished and numbers.steps[0].rewards:
            measures.append(numbers)
    chunks.flush()
    summary = tally.summary(run.record.seconds if run.record else 0.0)
    measured = Measured(name, number, measures, group(run.record, name))
    columns = index.columns | {"starts": chunks.starts}
    return _Gathered(overview(name, run, summary, prices), measured, columns)


def _write_page(out: Path, runs: Sequence[_Gathered], figures: Sequence[Figure], spool: IO[bytes]) -> None:
    """The parts in the order in which a browser needs them: the texts, by far the largest, at the end."""
    head, script = page.front()
    summary = {
        "version": metadata.version("tpo"),
        "runs": [run.overview for run in runs],
        "figures": [figure.record() for figure in figures],
        "comparisons": [comparison.record() for comparison in compare_all([run.measured for run in runs])],
    }
    with replacing(out) as fresh, fresh.open("wb") as file:
        file.write(head)
        file.write(block("summary", summary))
        for number, run in enumerate(runs):
            file.write(block(f"index-{number}", run.index))
        file.write(script)
        for piece in copied(spool):
            file.write(piece)
        file.write(page.END)
