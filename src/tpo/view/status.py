"""Status of a live run for the page: totals, activity, and notes on missing data."""

from __future__ import annotations

from typing import Any

from tpo.report.overview import overview
from tpo.report.partial_run import PartialRun, journal_note
from tpo.report.query_table import sample_note
from tpo.runs.summary import Summary
from tpo.store import reader
from tpo.view.live_run import LiveRun
from tpo.view.throughput import Rates

STOPPED = (
    "The run has not ended, and no process works in it: it was killed, or its machine stopped."
    " The same command resumes it."
)


def run_status(run: LiveRun) -> dict[str, Any]:
    """Return the page's overview of *run*, with its activity under ``live``."""
    gathering = run.table.gathering
    summary = gathering.summary(run.seconds)
    partial = PartialRun(run.path, run.record, (), tuple(_notes(run)))
    told = overview(run.name, partial, summary, run.prices, gathering.answer_mean)
    return told | {"live": _live(run, summary), "generation": run.generation}


def _live(run: LiveRun, summary: Summary) -> dict[str, Any]:
    """Return the activity of *run*; unknown values are None."""
    queries, _ = run.in_flight.queries(run.table)
    resumed, _ = run.table.resumed()
    working, since = run.state == "working", run.since
    rates = Rates(None, None)
    if working and since is not None:
        rates = run.table.throughput.rates(since, run.now)
    total = run.total
    ended = summary.finished + summary.failed - resumed
    left = None if total is None else max(total - ended, 0)
    return {
        "state": run.state,
        "total": total,
        "ended": ended,
        "under_way": queries if working else None,
        "queries": run.in_flight.listed(run.table) if working else [],
        "written": run.table.throughput.written + run.tokens_in_flight,
        "tokens_a_second": rates.tokens,
        "queries_a_minute": None if rates.queries is None else 60 * rates.queries,
        "seconds_left": left / rates.queries if rates.queries and left is not None else None,
        "reading": run.growth.more,
    }


def _notes(run: LiveRun) -> list[str]:
    """Return notes on data missing in *run* that no process is about to write."""
    found = [STOPPED] if run.state == "stopped" else []
    if run.record is None or run.state == "interrupted":
        found += run.record_notes
    found += _lines(run)
    if run.table.sample is not None:
        ended = run.table.gathering.summary(0.0)
        found.append(sample_note(len(run.table), ended.finished + ended.failed))
    if run.in_flight.calls and run.state != "working":
        found.append(journal_note(run.in_flight.calls))
    return found


def _lines(run: LiveRun) -> list[str]:
    """Return notes on the trajectories file."""
    found = run.table.notes()
    if run.growth.error is not None:
        return [*found, f"{reader.NAME} cannot be read: {run.growth.error}."]
    if run.state == "working":  # whatever is not there yet may come
        return found
    if run.growth.torn:
        return [*found, f"{reader.NAME}: the last line is cut off."]
    if not any((part / reader.NAME).exists() for part in run.parts):
        return [*found, f"{reader.NAME} is missing: no query has ended yet, or the file was removed."]
    return found
