"""Read a damaged or half-written run as far as possible; every gap is told in a note.

Resuming a run is strict about what it finds (:mod:`tpo.store`); reports and the live view are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tpo.errors import StoreError
from tpo.report.shared_queries import natural
from tpo.store import reading
from tpo.store.runfile import RunRecord, read_run
from tpo.store.trajectory_line import decode_trajectory
from tpo.types import Trajectory

JOURNAL = "journal.jsonl"
SHOWN = 3
"""Number of unreadable lines that are told with their reason."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """A run as far as it can be read; *places* are byte offsets of the lines that count, by query id."""

    path: Path
    record: RunRecord | None
    places: tuple[int, ...]
    notes: tuple[str, ...]

    def trajectories(self) -> Iterator[Trajectory]:
        """Yield each readable trajectory."""
        if not self.places:
            return
        with (self.path / reading.NAME).open("rb") as lines:
            for offset in self.places:
                lines.seek(offset)
                yield decode_trajectory(lines.readline())


def salvage(path: Path) -> Salvaged:
    """Return what can be read of the run in the directory *path*.

    Raises:
        StoreError: there is no such directory, or nothing of a run in it.
    """
    if not path.is_dir():
        raise StoreError(f"{path}: no such directory; name the directory of a run")
    if not any((path / name).exists() for name in ("run.json", reading.NAME)):
        raise StoreError(f"{path}: no run is here (neither run.json nor {reading.NAME})")
    record, notes = read_record(path)
    places, more = _places(path / reading.NAME)
    return Salvaged(path, record, places, (*notes, *more, *_unfinished(path)))


def read_record(path: Path) -> tuple[RunRecord | None, list[str]]:
    """Return the record of the run in *path*, if it can be read, and notes on it."""
    if not (path / "run.json").exists():
        return None, ["run.json is missing: configuration, versions and times are unknown."]
    try:
        record = read_run(path)
    except StoreError as error:
        reason = str(error).replace(str(path), path.name)
        return None, [f"Configuration, versions and times are unknown: {reason}."]
    if record.ended is None:
        return record, ["The run has not ended: it is under way, or was killed."]
    if record.invocations[-1].interrupted:
        return record, ["The run was interrupted before its end."]
    return record, []


def _places(file: Path) -> tuple[tuple[int, ...], list[str]]:
    """Return the offsets of each query's last readable line, and notes on what is not readable."""
    last: dict[str, int] = {}
    unreadable: list[str] = []
    notes: list[str] = []
    try:
        with file.open("rb") as lines:
            offset = 0
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    notes.append(f"{file.name}: the last line (line {number}) is cut off.")
                    break
                found = read_line(line, number)
                if isinstance(found, Trajectory):
                    last[found.query.id] = offset
                else:
                    unreadable.append(found)
                offset += len(line)
    except FileNotFoundError:
        notes.append(f"{file.name} is missing: no query has ended yet, or the file was removed.")
    except OSError as error:
        notes.append(f"{file.name} cannot be read: {error.strerror}.")
    notes += unreadable_note(unreadable[:SHOWN], len(unreadable))
    return tuple(last[query] for query in sorted(last, key=natural)), notes


def read_line(line: bytes, number: int) -> Trajectory | str:
    """Return the trajectory of *line*, or else the reason why it holds none. *number* counts from 1."""
    try:
        return decode_trajectory(line)
    except ValueError as error:
        reason = str(error)
        return f"line {number}: {reason if len(reason) <= 120 else reason[:119] + '…'}"


def unreadable_note(first: Sequence[str], count: int) -> list[str]:
    """Return the note on *count* unreadable lines; *first* are the reasons of some of them."""
    if not count:
        return []
    shown = "; ".join(first) + ("; …" if count > len(first) else "")
    lines = "1 line" if count == 1 else f"{count:,} lines"
    return [f"{reading.NAME}: {lines} cannot be read: {shown}."]


def _unfinished(path: Path) -> list[str]:
    """Return the note on calls of queries that have not ended."""
    try:
        with (path / JOURNAL).open("rb") as lines:
            calls = sum(1 for _ in lines)
    except OSError:
        return []
    if not calls:
        return []
    return [journal_note(calls)]


def journal_note(calls: int) -> str:
    """Return the note on *calls* finished calls in the journal."""
    held = "1 finished call" if calls == 1 else f"{calls:,} finished calls"
    shown = "it is" if calls == 1 else "they are"
    return f"The journal holds {held} of queries that have not ended; {shown} not shown."
