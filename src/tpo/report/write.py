"""Write a report: read each run once, spool its texts to a temporary file, then write the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import IO, Any

from tpo.errors import StoreError
from tpo.export.atomic_writer import replacing
from tpo.report import page
from tpo.report.collector import CollectedRun, RunCollector, distinct_names, page_summary, run_figures
from tpo.report.data_blocks import ChunkWriter, data_block, read_chunks
from tpo.report.figure_files import save_figures
from tpo.report.figures import Figure
from tpo.report.line_figures import Baselines, RunMeasures
from tpo.report.partial_run import read_partial_run
from tpo.report.prices import Prices
from tpo.report.query_table import MAX_QUERIES, sample_note, sample_place
from tpo.report.results import Results
from tpo.report.transcript import transcript
from tpo.store.own_files import refuse_own_file
from tpo.store.temporary_files import temporary_file, temporary_file_errors


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Options of a report.

    Attributes:
        baselines: names and numbers of other systems, drawn as horizontal lines.
        baseline_runs: runs of other policies; the mean reward of their first samples is a baseline.
        prices: prices of tokens; None: the report shows no cost.
        figures: folder for figure files and their data; None: only the page is written.
        results: tables of external results, shown first.
        shown: figures of the page in place of those of the runs.
        compare: compare every two runs; a page of many runs has a table in :attr:`results` instead.
        max_queries: queries of a run above which a sample of about this size is shown.
    """

    baselines: Baselines = ()
    prices: Prices | None = None
    figures: Path | None = None
    results: Results | None = None
    shown: Sequence[Figure] | None = None
    compare: bool = True
    max_queries: int = MAX_QUERIES
    baseline_runs: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """The files of a report, and *notes* on missing data as pairs of run name and sentence."""

    page: Path
    figures: tuple[Path, ...]
    queries: int
    notes: tuple[tuple[str, str], ...]


def write_report(runs: Sequence[Path], out: Path, options: ReportOptions = ReportOptions()) -> WrittenReport:
    """Write the page of the runs in the directories *runs* to *out*, and their figures.

    Memory grows with the number of queries that are shown, which ``options.max_queries`` bounds.

    Raises:
        StoreError: one of *runs* is not a run directory, or *out* or a temporary file cannot be written.
        MissingExtra: a library of the extra ``report`` is not installed.
    """
    refuse_own_file(out)  # before minutes of reading
    with temporary_file() as spool:
        names = distinct_names(runs)
        collected = [_collect(path, names[n], n, options, spool) for n, path in enumerate(runs)]
        with temporary_file_errors():
            spool.flush()
        if options.shown is None:
            own = [run.measures for run in collected]
            baselines = (*options.baselines, *_baselines(options.baseline_runs, own[0]))
            figures = run_figures(own, baselines)
        else:
            figures = [panel for figure in options.shown for panel in figure.split()]
        summary = page_summary(collected, figures, options.results, compare=options.compare)
        _write_page(out, collected, summary, spool)
    files = save_figures(figures, options.figures) if options.figures is not None else ()
    notes = tuple((run.measures.name, note) for run in collected for note in run.overview["notes"])
    return WrittenReport(out, tuple(files), sum(len(run.table["id"]) for run in collected), notes)


def _baselines(paths: Sequence[Path], first: RunMeasures) -> Baselines:
    """Return the mean reward of the first samples of the runs in *paths*, by the policies' names.

    Only queries that *first* finished, too, count; their number is in the name where they are fewer.

    Raises:
        StoreError: one of them was scored by another reward than *first*, or has no such query.
    """
    found: list[tuple[str, float]] = []
    for path in paths:
        run = read_partial_run(path)
        collector = RunCollector(path.name, 0)
        for trajectory in run.trajectories():
            collector.add(trajectory)
        measured = collector.run_measures(run.record)
        shared = measured.restricted_to(first.queries)
        rewards = [reward for each in shared.measures for reward in each.steps[0].rewards]
        if not rewards or measured.reward != first.reward:
            why = "was scored by another reward" if rewards else f"has no query that {first.name} finished"
            raise StoreError(f"--baseline-run {path}: the run {why}; it cannot be drawn beside the others")
        policy = run.record.configuration.get("policy") if run.record else None
        names = ", ".join(map(str, policy if isinstance(policy, list | tuple) else [policy or path.name]))
        if len(shared.measures) < len(first.measures):
            names += f" ({len(shared.measures)} of {len(first.measures)} queries)"
        found.append((names, fmean(rewards)))
    return tuple(found)


def _collect(path: Path, name: str, number: int, options: ReportOptions, spool: IO[bytes]) -> CollectedRun:
    """Read a run once: keep its numbers and its table of queries, write its texts to *spool*.

    Of a run with more queries than *options* allow, a sample is kept, the same of all runs over the data.
    """
    run = read_partial_run(path)
    collector, chunks = RunCollector(name, number), ChunkWriter(f"texts-{number}", spool)
    share = options.max_queries / max(len(run.places), 1)
    for trajectory in run.trajectories():
        if sample_place(trajectory.query.id) >= share:
            collector.count(trajectory)
            continue
        collector.add(trajectory)
        chunks.add(transcript(trajectory))
    chunks.flush()
    if share < 1:
        run = replace(run, notes=(*run.notes, sample_note(len(collector.rows), len(run.places))))
    collected = collector.collect(run, options.prices)
    return replace(collected, table=collected.table | {"starts": chunks.starts})


def _write_page(
    out: Path, runs: Sequence[CollectedRun], summary: Mapping[str, Any], spool: IO[bytes]
) -> None:
    """Write the parts in the order in which a browser needs them, the large texts last."""
    head, script = page.head_and_script()
    with replacing(out) as fresh, fresh.open("wb") as file:
        file.write(head)
        file.write(data_block("summary", summary))
        for number, run in enumerate(runs):
            file.write(data_block(f"index-{number}", run.table))
        file.write(script)
        for piece in read_chunks(spool):
            file.write(piece)
        file.write(page.END)
