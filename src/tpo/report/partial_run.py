"""Read a damaged or incomplete run as far as possible; notes name everything that is missing.

Resuming a run requires an undamaged directory (:mod:`tpo.store`); reports and the live view do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tpo.errors import StoreError
from tpo.report.shared_queries import natural_key
from tpo.store import reader
from tpo.store.runfile import RunRecord, read_run
from tpo.store.shards import run_directories
from tpo.store.temporary_files import TemporaryDatabase, database_key
from tpo.store.trajectory_line import decode_trajectory
from tpo.types import Trajectory

JOURNAL = "journal.jsonl"
MAX_RUNS = 3
"""Number of runs that an error names."""
MAX_REASONS = 3
"""Number of unreadable lines whose reasons a note contains."""


class Places:
    """File and byte offset of the line of each query, in the order of the query ids; kept on disk."""

    def __init__(self) -> None:
        self._files: list[Path] = []
        self._database = TemporaryDatabase(_TABLE)

    def add_file(self, file: Path, lines: Iterable[tuple[Trajectory, int]]) -> None:
        """Add *lines* of *file*, as trajectories and offsets; some replace earlier ones of their queries."""
        number = len(self._files)
        self._files.append(file)
        self._database.write(_INSERT, (_row(found, number, start) for found, start in lines))

    def __len__(self) -> int:
        return int(next(self._database.read("SELECT COUNT(*) FROM place"))[0])

    def __iter__(self) -> Iterator[tuple[Path, int]]:
        found = self._database.read("SELECT file, start FROM place ORDER BY key, id")
        return ((self._files[file], start) for file, start in found)


_TABLE = """
CREATE TABLE place (
    id BLOB PRIMARY KEY, key BLOB, file INTEGER, start INTEGER, finished INTEGER
) WITHOUT ROWID
"""

_INSERT = """
INSERT INTO place VALUES (?, ?, ?, ?, ?) ON CONFLICT (id)
DO UPDATE SET file = excluded.file, start = excluded.start, finished = excluded.finished
WHERE replaces(excluded.finished, place.finished)
"""


def _row(found: Trajectory, file: int, start: int) -> tuple[bytes, bytes, int, int, bool]:
    query = found.query.id
    return database_key(query), _sort_key(query), file, start, found.status == "finished"


def _sort_key(query: str) -> bytes:
    """Return bytes that sort as :func:`natural_key` does."""
    pieces, _ = natural_key(query)
    return b"".join(length.to_bytes(4) + database_key(text) + b"\0" for length, text in pieces)


@dataclass(frozen=True, slots=True)
class PartialRun:
    """The readable part of a run."""

    path: Path
    record: RunRecord | None
    places: Places | tuple[tuple[Path, int], ...]
    notes: tuple[str, ...]

    def trajectories(self) -> Iterator[Trajectory]:
        """Yield each readable trajectory."""
        with reader.OpenFiles() as opened:
            for file, offset in self.places:
                yield decode_trajectory(opened.line(file, offset))


def read_partial_run(path: Path) -> PartialRun:
    """Return the readable part of the run in the directory *path*.

    Raises:
        StoreError: *path* is not a directory, or contains no run.
    """
    if not path.is_dir():
        raise StoreError(f"{path}: no such directory; name a run directory")
    directories = run_directories(path)
    if not any((each / name).exists() for each in directories for name in ("run.json", reader.NAME)):
        raise StoreError(
            f"{path}: not a run directory: it contains neither run.json nor {reader.NAME}{_runs_below(path)}"
        )
    record, notes = read_run_record(path)
    places = Places()
    for each in directories:
        places.add_file(each / reader.NAME, _find_lines(each / reader.NAME, notes))
        notes += _journal_notes(each)
    return PartialRun(path, record, places, tuple(notes))


def _runs_below(path: Path) -> str:
    """Return a hint at the runs in the directory *path*; empty if there are none."""
    files = [each for below in ("*", "runs/*") for each in path.glob(f"{below}/run.json")]
    runs = sorted({str(file.parent) for file in files}, key=natural_key)
    if not runs:
        return ""
    shown = " ".join(runs[:MAX_RUNS]) + (" ..." if len(runs) > MAX_RUNS else "")
    count = "1 run" if len(runs) == 1 else f"{len(runs):,} runs"
    return f", but {count}: name them ({shown}), or show all with tpo view {path}"


def read_run_record(path: Path) -> tuple[RunRecord | None, list[str]]:
    """Return the record of the run in *path*, or None if it cannot be read, and notes on it."""
    directories = run_directories(path)
    if not (directories[0] / "run.json").exists():
        return None, ["run.json is missing: configuration, versions and times are unknown."]
    try:
        record = read_run(path)
    except StoreError as error:
        reason = str(error).replace(str(path), path.name)
        return None, [f"Configuration, versions and times are unknown: {reason}."]
    if directories[0] != path:
        return record, [f"The run is in {len(directories):,} shards that are not merged."]
    if record.ended is None:
        return record, ["The run has not ended: it is in progress, or was killed."]
    if record.invocations[-1].interrupted:
        return record, ["The run was interrupted."]
    return record, []


def _find_lines(file: Path, notes: list[str]) -> Iterator[tuple[Trajectory, int]]:
    """Yield the trajectory and the offset of each readable line; add *notes* on unreadable ones."""
    unreadable: list[str] = []
    try:
        with file.open("rb") as lines:
            offset = 0
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    notes.append(f"{file.name}: the last line (line {number}) is cut off.")
                    break
                found = parse_line(line, number)
                if isinstance(found, Trajectory):
                    yield found, offset
                else:
                    unreadable.append(found)
                offset += len(line)
    except FileNotFoundError:
        notes.append(f"{file.name} is missing: no query has ended yet, or the file was removed.")
    except OSError as error:
        notes.append(f"{file.name} cannot be read: {error.strerror}.")
    notes += unreadable_lines_note(unreadable[:MAX_REASONS], len(unreadable))


def parse_line(line: bytes, number: int) -> Trajectory | str:
    """Return the trajectory in *line*, or the reason why it cannot be read; *number* counts from 1."""
    try:
        return decode_trajectory(line)
    except ValueError as error:
        reason = str(error)
        return f"line {number}: {reason if len(reason) <= 120 else reason[:119] + '…'}"


def unreadable_lines_note(first: Sequence[str], count: int) -> list[str]:
    """Return the note on *count* unreadable lines; *first* holds the reasons of the first ones."""
    if not count:
        return []
    shown = "; ".join(first) + ("; …" if count > len(first) else "")
    lines = "1 line" if count == 1 else f"{count:,} lines"
    return [f"{reader.NAME}: {lines} cannot be read: {shown}."]


def _journal_notes(path: Path) -> list[str]:
    """Return the note on journaled calls of unfinished queries, if there are any."""
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
    count = "1 finished call" if calls == 1 else f"{calls:,} finished calls"
    shown = "it is" if calls == 1 else "they are"
    return f"The journal contains {count} of queries that have not ended; {shown} not shown."
