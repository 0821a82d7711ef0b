"""What there is to say of a run that is followed: its numbers, what it is doing, what is missing in it."""

from __future__ import annotations

from typing import Any

from tpo.report.overview import overview
from tpo.report.salvage import Salvaged, journal_note
from tpo.runs.summary import Summary
from tpo.store import reading
from tpo.view.pace import Speed
from tpo.view.watched import Watched

STOPPED = (
    "The run has not ended, and nobody works in it: it was killed, or its machine went away."
    " The same command goes on with it."
)


def run_overview(run: Watched) -> dict[str, Any]:
    """What the page says of *run*, with what it is doing under ``live``."""
    summary = run.collected.gathering.summary(run.seconds)
    told = overview(run.name, Salvaged(run.path, run.record, (), tuple(notes(run))), summary, run.prices)
    return told | {"live": _live(run, summary), "generation": run.generation}


def _live(run: Watched, summary: Summary) -> dict[str, Any]:
    """What *run* is doing; what is not known is None."""
    queries, tokens = run.under_way.queries(run.collected)
    working, since = run.state == "working", run.since
    speed = Speed(None, None)
    if working and since is not None:
        speed = run.collected.pace.speed(since, run.now)
    total = _total(run)
    left = None if total is None else max(total - summary.finished - summary.failed, 0)
    return {
        "state": run.state,
        "total": total,
        "under_way": queries if working else None,
        "written": run.collected.pace.written + tokens,
        "tokens_a_second": speed.tokens,
        "queries_a_minute": None if speed.queries is None else 60 * speed.queries,
        "seconds_left": left / speed.queries if speed.queries and left is not None else None,
        "reading": run.growth.more,
    }


def notes(run: Watched) -> list[str]:
    """What is missing in *run*, as far as it is not on its way."""
    found = [STOPPED] if run.state == "stopped" else []
    if run.record is None or run.state == "interrupted":
        found += run.record_notes
    found += _lines(run)
    if run.under_way.calls and run.state != "working":
        found.append(journal_note(run.under_way.calls))
    return found


def _lines(run: Watched) -> list[str]:
    """What is to say of the trajectories' file."""
    found = run.collected.notes()
    if run.growth.error is not None:
        return [*found, f"{reading.NAME} cannot be read: {run.growth.error}."]
    if run.state == "working":  # whatever is not there yet may come
        return found
    if run.growth.torn:
        return [*found, f"{reading.NAME}: the last line is cut off."]
    if not (run.path / reading.NAME).exists():
        return [*found, f"{reading.NAME} is missing: no query has ended yet, or the file was removed."]
    return found


def _total(run: Watched) -> int | None:
    """How many queries there are, if the run noted it."""
    noted = run.record.configuration.get("queries") if run.record else None
    return noted if isinstance(noted, int) and noted > 0 else None
