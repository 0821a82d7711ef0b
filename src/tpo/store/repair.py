"""Repair a run directory: keep valid records, move damaged lines aside; a resumed run redoes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tpo.errors import StoreError
from tpo.store import reader, runfile
from tpo.store.codec import SCHEMA
from tpo.store.files import open_file, reason, replace_file, rewrite_file, sync_directory
from tpo.store.journal import JOURNAL, decode_journal_line
from tpo.store.lock import Lock
from tpo.store.reader import find_places
from tpo.store.runfile import read_run
from tpo.store.shards import BLOCK, FOLDER, PARTS
from tpo.store.trajectory_line import decode_trajectory

DAMAGED = ".damaged"
"""Suffix of the file of damaged lines."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """Result of a repair.

    Attributes:
        finished: queries that are finished.
        failed: queries whose last try failed; a resumed run tries them again.
        calls: finished calls that the journal holds.
        damaged: number of lines moved aside, by the file's name in the run; a resumed run redoes their
            queries and calls.
        restored: whether ``run.json`` was restored from its backup.
        resumable: whether the run can be resumed; one of schema 1 cannot, and its journal is left as it is.
    """

    finished: int
    failed: int
    calls: int
    damaged: dict[str, int]
    restored: bool
    resumable: bool


def repair(path: Path) -> Repaired:
    """Repair the run in the directory *path*, with its parts or shards.

    ``run.json`` is restored from its backup where it is damaged. Lines that are no whole record move to
    ``NAME.damaged`` beside their file. Repairing a whole run changes nothing.

    Raises:
        StoreBusy: another process works in it.
        StoreError: there is no run, or its settings cannot be restored.
    """
    if not path.is_dir():
        raise StoreError(f"{path}: no such directory; name the directory of a run")
    below = [part for part in sorted((path / FOLDER).glob("*")) if _is_run(part)]
    own = [path] if _holds_run(path, below) else []
    parts = [] if own and not (path / PARTS).exists() else below
    if not own and not parts:
        raise StoreError(f"{path}: no run is here (neither {runfile.NAME} nor {reader.NAME})")
    with _locked(path):
        repaired = [_repair(each) for each in own]
        for part in parts:
            with _locked(part):
                repaired.append(_repair(part, f"{FOLDER}/{part.name}/"))
    return Repaired(
        finished=sum(each.finished for each in repaired),
        failed=sum(each.failed for each in repaired),
        calls=sum(each.calls for each in repaired),
        damaged={name: lines for each in repaired for name, lines in each.damaged.items()},
        restored=any(each.restored for each in repaired),
        resumable=all(each.resumable for each in repaired),
    )


def _is_run(path: Path) -> bool:
    return any((path / name).exists() for name in (runfile.NAME, runfile.BACKUP, reader.NAME))


def _holds_run(path: Path, below: list[Path]) -> bool:
    """Return whether *path* has a run of its own.

    Without a record, trajectories above shards are those of a merge that was cut off.
    """
    recorded = any((path / name).exists() for name in (runfile.NAME, runfile.BACKUP))
    return recorded or (_is_run(path) and all(each.name.startswith(BLOCK) for each in below))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        held = Lock(path)
    except OSError as error:
        raise StoreError(f"cannot repair {path}: {reason(error)}") from error
    try:
        yield
    finally:
        held.release()


def _repair(path: Path, prefix: str = "") -> Repaired:
    """Repair one directory; *prefix* stands before the names of its files."""
    restored = _restore_record(path)
    trajectories, journal = path / reader.NAME, path / JOURNAL
    resumable = read_run(path / runfile.NAME).schema == SCHEMA
    damaged = {f"{prefix}{trajectories.name}": _set_aside(trajectories, decode_trajectory)}
    if resumable:
        entries = _set_aside(journal, lambda line: decode_journal_line(line, journal))
        damaged[f"{prefix}{journal.name}"] = entries
    places = find_places(trajectories).values() if trajectories.exists() else ()
    finished = sum(place.last.finished for place in places)
    return Repaired(finished, len(places) - finished, _count(journal), damaged, restored, resumable)


def _restore_record(path: Path) -> bool:
    """Restore ``run.json`` from its backup if it is damaged or missing; return whether it was."""
    try:
        read_run(path / runfile.NAME)  # of a directory without one, the record of its parts would be read
    except StoreError as error:
        backup = path / runfile.BACKUP
        if not backup.exists():
            raise StoreError(
                f"{error}, and there is no {runfile.BACKUP}: the run cannot be resumed. "
                f"report and export read its {reader.NAME}"
            ) from error
        read_run(backup)
        replace_file(path / runfile.NAME, backup.read_bytes())
        return True
    return False


def _set_aside(file: Path, decode: Callable[[bytes], object]) -> int:
    """Move the lines that *decode* refuses from *file* to the one beside it; return their number."""
    if not file.exists():
        return 0

    def is_whole(line: bytes) -> bool:
        try:
            decode(line)
        except ValueError:
            return False
        return line.endswith(b"\n")

    with file.open("rb") as lines:
        damaged = sum(not is_whole(line) for line in lines)
    if damaged:
        _split(file, is_whole)
    return damaged


def _split(file: Path, is_whole: Callable[[bytes], bool]) -> None:
    aside = file.with_name(file.name + DAMAGED)
    try:
        with file.open("rb") as lines, os.fdopen(open_file(aside, os.O_APPEND), "ab") as damaged:

            def write(kept: BinaryIO) -> None:
                for line in lines:
                    (kept if is_whole(line) else damaged).write(line.removesuffix(b"\n") + b"\n")

            os.close(rewrite_file(file, write))
        sync_directory(file.parent)
    except OSError as error:
        raise StoreError(f"cannot repair {file}: {reason(error)}") from error


def _count(file: Path) -> int:
    if not file.exists():
        return 0
    with file.open("rb") as lines:
        return sum(1 for _ in lines)
