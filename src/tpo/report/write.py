"""From runs to a report: one pass over each, the texts spooled aside, then the page in its order."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from tpo.export.writing import replacing
from tpo.report import page
from tpo.report.blocks import Chunks, block, copied
from tpo.report.curves import Baselines
from tpo.report.drawing import draw
from tpo.report.gather import Gathered, Gathering, draw_figures, page_summary, told_apart
from tpo.report.prices import Prices
from tpo.report.results import Results
from tpo.report.salvage import salvage
from tpo.report.transcript import transcript


@dataclass(frozen=True, slots=True)
class Options:
    """What a report is made with.

    Attributes:
        baselines: single numbers that others reached, by name, drawn across the curves.
        prices: of tokens; None: no cost is told.
        figures: the folder that figures and their data are written to; None: only the page is.
        results: what was measured of the runs from outside, shown first.
    """

    baselines: Baselines = ()
    prices: Prices | None = None
    figures: Path | None = None
    results: Results | None = None


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
        names = told_apart(runs)
        gathered = [_gather(path, names[n], n, options.prices, spool) for n, path in enumerate(runs)]
        figures = draw_figures([run.measured for run in gathered], options.baselines)
        _write_page(out, gathered, page_summary(gathered, figures, options.results), spool)
    files = draw(figures, options.figures) if options.figures is not None else ()
    notes = tuple((run.measured.name, note) for run in gathered for note in run.overview["notes"])
    return Written(out, tuple(files), sum(len(run.index["id"]) for run in gathered), notes)


def _gather(path: Path, name: str, number: int, prices: Prices | None, spool: IO[bytes]) -> Gathered:
    """One pass over a run: its numbers and its rows in the table are kept, its texts go to *spool*."""
    run = salvage(path)
    gathering, chunks = Gathering(name, number), Chunks(f"texts-{number}", spool)
    for trajectory in run.trajectories():
        gathering.add(trajectory)
        chunks.add(transcript(trajectory))
    chunks.flush()
    gathered = gathering.gathered(run, prices)
    return replace(gathered, index=gathered.index | {"starts": chunks.starts})


def _write_page(out: Path, runs: Sequence[Gathered], summary: Mapping[str, Any], spool: IO[bytes]) -> None:
    """The parts in the order in which a browser needs them: the texts, by far the largest, at the end."""
    head, script = page.front()
    with replacing(out) as fresh, fresh.open("wb") as file:
        file.write(head)
        file.write(block("summary", summary))
        for number, run in enumerate(runs):
            file.write(block(f"index-{number}", run.index))
        file.write(script)
        for piece in copied(spool):
            file.write(piece)
        file.write(page.END)
