"""A run's directory: made, gone on with, or refused; one process at a time; nothing finished is ever lost.

run.json             configuration, fingerprint, versions, times, totals; replaced at once
trajectories.jsonl   a line each finished or failed query; only grows
journal.jsonl        finished calls of queries that are not finished
.lock                whose run this is, while it runs
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from tpo.errors import StoreError
from tpo.store import reading, runfile
from tpo.store.journal import Journal
from tpo.store.jsonline import to_line
from tpo.store.lines import AppendFile
from tpo.store.lock import Lock
from tpo.store.reading import Place, find_places, read_places
from tpo.store.records import trajectory_record
from tpo.store.runfile import RunRecord, check_fingerprint, joined, read_run, write_run
from tpo.types import Trajectory

JOURNAL = "journal.jsonl"


class RunDirectory:
    """An open run; see :meth:`open`. Close it, or use it in an ``async with`` block."""

    def __init__(self, path: Path, record: RunRecord, held: Lock, clock: Callable[[], float]) -> None:
        self.path = path
        self.record = record
        self.resumed = len(record.invocations) > 1
        """Whether there was a run to go on with."""
        self._lock = held
        self.now = clock
        self._trajectories = AppendFile(path / reading.NAME)
        try:
            self._places = find_places(path / reading.NAME)
            self.finished = {query for query, place in self._places.items() if place.finished}
            """Queries that are done, and not to be asked again."""
            self.journal = Journal(path / JOURNAL, self.finished)
        except BaseException:
            self._trajectories.close_now()
            raise

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        configuration: Mapping[str, Any],
        fingerprint: Mapping[str, Any],
        fresh: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Make the run at *path*, or go on with the one that is there.

        Args:
            path: the directory; made if missing.
            configuration: every option as resolved, for the record; plain JSON, and no secret in it.
            fingerprint: what decides what the trajectories are (see :mod:`tpo.runs.fingerprint`).
            fresh: throw away the run that is there.
            clock: seconds since the epoch.

        Raises:
            StoreBusy: another process works in it.
            StoreMismatch: the run there has another fingerprint.
            StoreError: it cannot be used.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            held = Lock(path)
        except OSError as error:
            raise StoreError(f"cannot use {path} as a run's directory: {error.strerror}") from error
        try:
            if fresh:
                _clear(path)
            record = _record(path, configuration, fingerprint).begin(clock())
            write_run(path, record)  # before any other file, so that no crash leaves those without it
            return cls(path, record, held, clock)
        except BaseException:
            held.release()
            raise

    @property
    def failed(self) -> dict[str, Place]:
        """Queries whose last try failed, and where its line stood when the run was opened."""
        return {query: place for query, place in self._places.items() if not place.finished}

    def seconds_until(self, ended: float) -> float:
        """Wall time of the run if this invocation ends at *ended*, with that of the earlier ones."""
        return self.record.seconds + ended - self.record.invocations[-1].started

    def read_finished(self) -> Iterator[Trajectory]:
        """The trajectories that were finished when the run was opened."""
        done = sorted((p for p in self._places.values() if p.finished), key=lambda place: place.offset)
        yield from self.read(done)

    def read(self, places: list[Place]) -> Iterator[Trajectory]:
        """The trajectories at *places*."""
        yield from read_places(self.path / reading.NAME, places)

    async def append(self, trajectory: Trajectory) -> None:
        """Return once *trajectory* is on disk.

        A finished one ends its query; a failed one is tried again by the next run here, with its journal.

        Raises:
            StoreError: it could not be written; everything earlier is intact.
        """
        query = trajectory.query.id
        await self._trajectories.append(to_line(trajectory_record(trajectory)))
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
        """Note the end of this invocation, and leave in the journal only what a resumed run can use.

        Raises:
            StoreError: that could not be written.
        """
        await self.journal.compact()
        self.record = self.record.end(ended, totals, interrupted=interrupted, retries=retries or {})
        write_run(self.path, self.record)

    async def close(self) -> None:
        """Write what waits, and let others in."""
        try:
            await self._trajectories.close()
            await self.journal.close()
        finally:
            self._lock.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


def _record(path: Path, configuration: Mapping[str, Any], fingerprint: Mapping[str, Any]) -> RunRecord:
    """The record to go on with, or a new one.

    Raises:
        StoreMismatch: the run there has another fingerprint.
        StoreError: there are trajectories, and nothing tells of which configuration.
    """
    if not (path / runfile.NAME).exists():
        for name in (reading.NAME, JOURNAL):
            if (path / name).exists():
                raise StoreError(
                    f"{path} holds {name} but no {runfile.NAME}, so nothing tells what made it. "
                    "Give another --out, or --fresh to throw it away"
                )
        return RunRecord(configuration, fingerprint)
    there = read_run(path)
    check_fingerprint(path, there.fingerprint, fingerprint)
    whole = joined(there.fingerprint, fingerprint)
    return RunRecord(configuration, whole, there.invocations, there.totals)


def _clear(path: Path) -> None:
    """Throw away the run's own files, run.json last: no crash leaves the others without it."""
    for name in (JOURNAL, reading.NAME, runfile.NAME):
        (path / name).unlink(missing_ok=True)
