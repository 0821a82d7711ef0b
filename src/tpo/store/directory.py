"""Run directory: create, resume or refuse it; one process at a time; finished work is never lost.

run.json             configuration, fingerprint, versions, times, totals; replaced at once
run.json.bak         the same, for repair
trajectories.jsonl   a line for each finished or failed query; only grows
journal.jsonl        finished calls of queries that are not finished
.lock                the process that works in it
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from tpo.clock import SteadyClock
from tpo.errors import StoreError
from tpo.store import reader, runfile
from tpo.store.blocks import join_blocks
from tpo.store.files import Reserve, reason
from tpo.store.journal import JOURNAL, Journal
from tpo.store.lines import AppendFile
from tpo.store.lock import Lock
from tpo.store.reader import Place, find_places, read_places
from tpo.store.resume import (
    changed_columns,
    check_row,
    finished_ids,
    had_other_data,
    record_for,
    refuse_shards,
)
from tpo.store.runfile import RunRecord, write_run
from tpo.store.shards import PARTS, block_directories, shard_directories
from tpo.store.trajectory_line import encode_trajectory
from tpo.types import Query, Trajectory

RESERVED = 4
"""File descriptors for the end of a run, which rewrites the journal and replaces ``run.json``."""


class RunDirectory:
    """An open run; see :meth:`open`. Close it, or use it in an ``async with`` block."""

    def __init__(
        self,
        path: Path,
        record: RunRecord,
        held: Lock,
        clock: Callable[[], float],
        columns: Collection[str] = (),
    ) -> None:
        self.path = path
        self.columns = tuple(columns)
        """Columns of the data that a reward reads."""
        self.checked_columns = self.columns if had_other_data(record, record.fingerprint) else ()
        """Those of :attr:`columns` that may have changed since an earlier invocation."""
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
            keeps_parts = record.fingerprint.get("parts")
            if not keeps_parts and join_blocks(path, self._trajectories, self._places):
                self._places = find_places(path / reader.NAME)
            self.finished = finished_ids(self._places, record.fingerprint)
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
        columns: Collection[str] = (),
        fresh: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> Self:
        """Create the run at *path*, or resume it.

        Args:
            path: the directory; made if missing.
            configuration: every option as resolved, for the record; plain JSON, and no secret in it.
            fingerprint: what decides the trajectories (see :mod:`tpo.runs.fingerprint`).
            columns: columns of the data that a reward reads; their values may not change either.
            fresh: delete the run that is there.
            clock: seconds since the epoch that never go back; None: :class:`tpo.clock.SteadyClock`.

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
        clock = clock or SteadyClock()
        try:
            if fresh:
                refuse_shards(path, sorted({*shard_directories(path)} - {*block_directories(path)}))
                _clear(path)
            record = record_for(path, configuration, fingerprint).begin(clock())
            write_run(path, record)  # before any other file, so that no crash leaves those without it
            return cls(path, record, held, clock, columns)
        except BaseException:
            held.release()
            raise

    def is_finished(self, query: Query) -> bool:
        """Return whether *query* is done.

        Raises:
            StoreMismatch: its id is done, with other messages, another reference, or other columns that a
                reward reads.
        """
        if query.id not in self.finished:
            return False
        if query.id in self._places:  # else it was finished by this invocation
            check_row(self.path, self._places[query.id], query, self.checked_columns)
        return True

    @property
    def failed(self) -> dict[str, Place]:
        """Places of the lines of queries whose latest attempt failed, as the run was opened, by id."""
        return {query: place.last for query, place in self._places.items() if not place.last.finished}

    def earlier(self, query: Query) -> Trajectory | None:
        """Return the recorded trajectory of *query*, if it goes on: it failed, or had fewer iterations.

        None where a column that a reward reads has changed since.
        """
        place = self._places.get(query.id)
        if place is None or query.id in self.finished:
            return None
        if changed_columns(self.path, place, query, self.checked_columns):
            return None
        return next(self.read([place]), None)

    def known_totals(self) -> Mapping[str, Any] | None:
        """Return the totals of the invocation before this one; None unless they cover every trajectory."""
        before = self.record.invocations[-2:-1]
        covered = bool(before) and before[0].trajectory_bytes == self._trajectories.size
        return self.record.totals if covered else None

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

        A finished one ends its query; a failed one is tried again by the next run here, with its journal. It
        does not replace an answer with fewer iterations (:func:`tpo.store.reader.replaces`).

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
        self.record = self.record.end(
            ended,
            totals,
            interrupted=interrupted,
            retries=retries,
            trajectory_bytes=self._trajectories.size,
        )
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


def _clear(path: Path) -> None:
    """Delete the run's blocks and its own files, run.json last, so that no crash leaves others without it."""
    for block in block_directories(path):
        shutil.rmtree(block)
    for name in (JOURNAL, reader.NAME, PARTS, runfile.BACKUP, runfile.NAME):
        (path / name).unlink(missing_ok=True)
