"""Run directory: create, resume or refuse it; one process at a time; finished work is never lost.

run.json             configuration, fingerprint, versions, times, totals; replaced at once
run.json.bak         the same, for repair
trajectories.jsonl   a line for each finished or failed query; only grows
journal.jsonl        finished calls of queries that are not finished
.lock                the process that works in it
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from tpo.data.digest import query_digest
from tpo.errors import StoreError, StoreMismatch
from tpo.store import reader, runfile, schema1
from tpo.store.files import Reserve, reason
from tpo.store.journal import Journal
from tpo.store.lines import AppendFile
from tpo.store.lock import Lock
from tpo.store.reader import Place, find_places, read_places
from tpo.store.runfile import RunRecord, check_fingerprint, joined, read_run, write_run
from tpo.store.shards import FOLDER, shard_directories
from tpo.store.trajectory_line import encode_trajectory
from tpo.types import Query, Trajectory

JOURNAL = "journal.jsonl"

RESERVED = 4
"""File descriptors for the end of a run, which rewrites the journal and replaces ``run.json``."""


class RunDirectory:
    """An open run; see :meth:`open`. Close it, or use it in an ``async with`` block."""

    def __init__(self, path: Path, record: RunRecord, held: Lock, clock: Callable[[], float]) -> None:
        self.path = path
        self.record = record
        self.resumed = len(record.invocations) > 1
        """True if an earlier invocation worked in it."""
        self._lock = held
        self.now = clock
        with contextlib.ExitStack() as undo:
            self._reserve = Reserve(RESERVED)
            undo.callback(self._reserve.release)
            self._trajectories = AppendFile(path / reader.NAME)
            undo.callback(self._trajectories.close_now)
            self._places = find_places(path / reader.NAME)
            self.finished = _done(self._places, record.fingerprint)
            """Ids of queries that are done."""
            self.journal = Journal(path / JOURNAL, self.finished)
            undo.pop_all()

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        configuration: Mapping[str, Any],
        fingerprint: Mapping[str, Any],
        fresh: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> Self:
        """Create the run at *path*, or resume it.

        Args:
            path: the directory; made if missing.
            configuration: every option as resolved, for the record; plain JSON, and no secret in it.
            fingerprint: what decides the trajectories (see :mod:`tpo.runs.fingerprint`).
            fresh: delete the run that is there.
            clock: seconds since the epoch that never go back; None: :func:`steady_clock`.

        Raises:
            StoreBusy: another process works in it.
            StoreMismatch: the run there has another fingerprint, or an earlier version made it.
            StoreError: it cannot be used.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            held = Lock(path)
        except OSError as error:
            raise StoreError(f"cannot use {path} as a run's directory: {reason(error)}") from error
        clock = clock or steady_clock()
        try:
            if fresh:
                _clear(path)
            record = _record(path, configuration, fingerprint).begin(clock())
            write_run(path, record)  # before any other file, so that no crash leaves those without it
            return cls(path, record, held, clock)
        except BaseException:
            held.release()
            raise

    def is_finished(self, query: Query) -> bool:
        """Return whether *query* is done.

        Raises:
            StoreMismatch: its id is done, with other messages or another reference.
        """
        if query.id not in self.finished:
            return False
        if query.id in self._places:  # else it was finished by this invocation
            _check_row(self.path, self._places[query.id], query)
        return True

    @property
    def failed(self) -> dict[str, Place]:
        """Places of the failed queries' lines, as they were when the run was opened, by id."""
        return {query: place for query, place in self._places.items() if not place.finished}

    def earlier(self, query: str) -> Trajectory | None:
        """Return the recorded trajectory of *query*, if it goes on: it failed, or had fewer iterations."""
        place = self._places.get(query)
        if place is None or query in self.finished:
            return None
        return next(self.read([place]), None)

    def seconds_until(self, ended: float) -> float:
        """Return the wall time of all invocations if this one ends at *ended*."""
        return self.record.seconds + ended - self.record.invocations[-1].started

    def read_finished(self) -> Iterator[Trajectory]:
        """Yield the trajectories that were finished when the run was opened.

        A query whose line proves to hold no trajectory is not finished any longer.
        """
        done = {query: place for query, place in self._places.items() if query in self.finished}
        for trajectory in self.read(sorted(done.values(), key=lambda place: place.offset)):
            del done[trajectory.query.id]
            yield trajectory
        self.finished -= done.keys()

    def read(self, places: list[Place]) -> Iterator[Trajectory]:
        """Yield the trajectories at *places*."""
        yield from read_places(self.path / reader.NAME, places)

    async def append(self, trajectory: Trajectory) -> None:
        """Return once *trajectory* is on disk.

        A finished one ends its query; a failed one is tried again by the next run here, with its journal.

        Raises:
            StoreError: it could not be written; everything earlier is intact.
        """
        query = trajectory.query.id
        await self._trajectories.append(encode_trajectory(trajectory))
        if trajectory.status == "finished":
            self.finished.add(query)
            self.journal.settle(query)

    async def end(
        self,
        totals: Mapping[str, Any],
        ended: float,
        *,
        interrupted: bool,
        retries: Mapping[str, int] | None = None,
    ) -> None:
        """Record the end of this invocation and remove entries of finished queries from the journal.

        Raises:
            StoreError: it could not be written.
        """
        self._reserve.release()
        await self.journal.compact()
        self.record = self.record.end(ended, totals, interrupted=interrupted, retries=retries or {})
        write_run(self.path, self.record)

    async def close(self) -> None:
        """Write pending records and release the lock."""
        self._reserve.release()
        try:
            await self._trajectories.close()
            await self.journal.close()
        finally:
            self._lock.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


def steady_clock(
    wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> Callable[[], float]:
    """Return a clock of seconds since the epoch that no correction of the system's clock moves."""
    offset = wall() - monotonic()
    return lambda: offset + monotonic()


def is_complete(path: Path, fingerprint: Mapping[str, Any], queries: Iterable[Query] | None) -> bool:
    """Return whether the run at *path* has finished all of *queries* with all iterations allowed now.

    Reads *queries* to their end only where the data has another digest than before. False for None: rows that
    cannot be read twice.

    Raises:
        StoreMismatch: the run cannot be resumed with *fingerprint*, a finished row has changed, or the data
            has other digests and none of the run's queries.
        StoreError: the run cannot be read.
    """
    there = read_run(path)
    _check_resumable(path, there, fingerprint)
    if queries is None or not (path / reader.NAME).exists():
        return False
    places = find_places(path / reader.NAME)
    finished = _done(places, fingerprint)
    same_data = there.fingerprint.get("data") == fingerprint.get("data")
    complete, known = True, False
    for query in queries:
        if query.id in finished:
            _check_row(path, places[query.id], query)
        complete = complete and query.id in finished
        known = known or query.id in places
        if same_data and not complete:
            return False
    if places and not (known or same_data):
        raise StoreMismatch(
            f"{path} holds a run over other data: none of its {len(places):,} queries is in the data now. "
            "Give another --out, or --fresh to delete that run and start again"
        )
    return complete


def recorded_ids(path: Path, data: str) -> dict[str, tuple[str, ...]] | None:
    """Return the ids of the queries that the run at *path* recorded, by their digests.

    None where every invocation had the data of digest *data*, so that positions tell the ids, and where
    there is no run that can be resumed.

    Raises:
        StoreError: the run cannot be read.
    """
    if not ((path / runfile.NAME).exists() and (path / reader.NAME).exists()):
        return None
    there = read_run(path)
    digests = {there.fingerprint.get("data"), *(each.data for each in there.invocations)} - {None, data}
    if not digests or there.schema == schema1.SCHEMA:
        return None
    ids: dict[str, list[str]] = defaultdict(list)
    for query, place in find_places(path / reader.NAME).items():
        ids[place.digest].append(query)
    return {digest: tuple(of) for digest, of in ids.items()}


def _done(places: Mapping[str, Place], fingerprint: Mapping[str, Any]) -> set[str]:
    allowed = fingerprint.get(runfile.MAX_ITERATIONS)
    return {query for query, place in places.items() if place.is_done(allowed)}


def _check_row(path: Path, place: Place, query: Query) -> None:
    """Refuse a finished *query* whose row has changed.

    Raises:
        StoreMismatch: it has.
    """
    if place.digest != query_digest(query):
        raise StoreMismatch(
            f"query {query.id!r}: its messages or its reference have changed since {path} answered it. "
            "Rows may be added and reordered, not changed: restore the row, give the new one another id, "
            "or give another --out"
        )


def _record(path: Path, configuration: Mapping[str, Any], fingerprint: Mapping[str, Any]) -> RunRecord:
    """Return the record to continue, or a new one.

    Raises:
        StoreMismatch: the run there has another fingerprint, or an earlier version made it.
        StoreError: there are trajectories, and nothing tells which configuration they have.
    """
    if not (path / runfile.NAME).exists():
        for name in (runfile.BACKUP, reader.NAME, JOURNAL):
            if (path / name).exists():
                raise StoreError(_without_record(path, name))
        if shards := shard_directories(path):
            raise StoreError(
                f"{path} holds {len(shards):,} shards of a run, such as {shards[0].name}: give --shard, "
                f"join them with `tpo merge {path}`, or delete {path / FOLDER} to start anew"
            )
        return RunRecord(configuration, fingerprint)
    there = read_run(path)
    _check_resumable(path, there, fingerprint)
    whole = joined(there.fingerprint, fingerprint)
    return RunRecord(configuration, whole, there.invocations, there.totals)


def _check_resumable(path: Path, there: RunRecord, fingerprint: Mapping[str, Any]) -> None:
    if there.schema == schema1.SCHEMA:
        raise StoreMismatch(
            f"{path} holds a run of an earlier version of tpo (schema 1), which report, view and export read "
            "but which cannot be resumed: give another --out, or --fresh to delete it and start again"
        )
    check_fingerprint(path, there.fingerprint, fingerprint)


def _without_record(path: Path, name: str) -> str:
    if name == runfile.BACKUP:
        return f"{path} has lost its {runfile.NAME}: `tpo repair {path}` restores it from {name}"
    return (
        f"{path} holds {name} but no {runfile.NAME}, so its settings are unknown. "
        "Give another --out, or --fresh to delete it"
    )


def _clear(path: Path) -> None:
    """Delete the run's own files, run.json last, so that no crash leaves the others without it."""
    for name in (JOURNAL, reader.NAME, runfile.BACKUP, runfile.NAME):
        (path / name).unlink(missing_ok=True)
