"""Driver of a run on Ray: makes blocks of the unfinished queries, and puts their trajectories into the run.

Workers write each block into a run directory below ``shards``. The driver copies trajectories into the run
as they appear, and removes a block's directory when all of it is finished. So the result is the directory
that one process makes. After an interruption, finished queries are in the run or in their blocks, finished
calls of others in the journals of their blocks. With ``--keep-parts`` trajectories stay in the blocks.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import tpo.errors
from tpo.errors import ConfigError, DataError, MissingExtra, StoreBusy, StoreError, TpoError
from tpo.events import Listener, QueryEnded
from tpo.rewards.calibration import scales_missing
from tpo.runs.plan import OpenRun, RunPlan
from tpo.runs.results import RunResults
from tpo.runs.retries import Retries
from tpo.runs.summary import Summary
from tpo.scale.blocks import QUERIES, begin_block, block_name, read_block, write_block
from tpo.scale.cluster import Pool, RowStream, connected, translated
from tpo.scale.parts import Parts
from tpo.scale.worker import BlockRunner
from tpo.store.directory import RunDirectory
from tpo.store.journal import JOURNAL, read_calls
from tpo.store.lock import Lock
from tpo.store.reader import NAME, Place, find_places, goes_on, read_places
from tpo.store.shards import FOLDER, block_directories
from tpo.store.trajectory_line import decode_trajectory
from tpo.types import Query, Trajectory
from tpo.view.tail import Tail

log = logging.getLogger(__name__)

FOLLOWING = 1.0
"""Seconds between two looks at the trajectories of blocks in progress."""
LATE = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds between two looks at a block that has ended and whose file lacks queries: a network file system may
show for half a minute what was there before."""


async def execute_on_ray(
    opened: OpenRun,
    *listeners: Listener,
    earlier: Callable[[Trajectory], None] | None = None,
    connect: Callable[[str], AbstractContextManager[None]] = connected,
    stream: Callable[..., RowStream] = RowStream,
    late: Sequence[float] = LATE,
) -> Summary:
    """Run the unfinished queries of *opened* on the Ray cluster that its settings name.

    *listeners* receive the start and the end of the run, and the end of each query; *earlier* receives the
    trajectories that earlier invocations finished, unless a large run has nothing to do. *connect* and
    *stream* stand for Ray; *late* are the seconds to wait for trajectories of a block that has ended.

    Raises:
        MissingExtra: Ray is not installed.
        StoreError: a block has ended and its trajectories do not appear; its directory is kept.
        TpoError: a fatal one; what is finished is kept.
    """
    plan, settings = opened.plan, opened.plan.settings
    pool = Pool.of(settings)
    if len(settings.reward) + len(settings.gate) > 1 and (
        settings.calibration is None or not settings.calibration.is_file()
    ):
        raise scales_missing("--ray")
    retries = Retries()
    with opened.models.events.forwarding(*listeners):
        store = Parts(opened.directory) if plan.settings.keep_parts else opened.directory
        results = RunResults(store, retries, opened.models.events, earlier)
        run = _RayRun(plan, store, results, retries, stream, late)
        run.results.start(plan.data.total)
        try:
            names = await run.prepare()
            if names:
                results.prepare()
                with connect(plan.settings.ray or ""):
                    await run.follow(names, pool)
        except BaseException:
            await run.results.interrupt()
            raise
        return await run.results.end(interrupted=False)


class _RayRun:
    """A run in progress, as its driver sees it."""

    def __init__(
        self,
        plan: RunPlan,
        store: RunDirectory | Parts,
        results: RunResults,
        retries: Retries,
        stream: Callable[..., RowStream],
        late: Sequence[float],
    ) -> None:
        self.plan = plan
        self._late = late
        self.results = results
        self._store = store
        self._stream = stream
        self._parts = store if isinstance(store, Parts) else None
        self._retries = retries
        self._folder = plan.path.resolve() / FOLDER
        self._tails: dict[str, Tail] = {}

    async def prepare(self) -> list[str]:
        """Take over what earlier blocks have finished; return the names of the blocks to run."""
        if self._parts is None:
            for path in block_directories(self.plan.path):
                await self._take_finished(path.name)
        names: dict[str, bool] = {}
        folders = [self.plan.path, *block_directories(self.plan.path)]
        calls = read_calls((folder / JOURNAL for folder in folders), self._store.finished)
        for queries in _chunks(_unique(self.plan.queries), self.plan.settings.block_size):
            unfinished = [query for query in queries if not self._store.is_finished(query)]
            if unfinished:
                name = block_name(query.id for query in queries)
                names[name] = self._write_block(self._folder / name, unfinished, calls)
        if self._parts is not None:
            self._parts.drop_copies(names)
            return list(names)
        for path in block_directories(self.plan.path):
            if path.name not in names:
                with suppress(StoreBusy), Lock(path):  # a worker whose driver died is about to end
                    shutil.rmtree(path)
        self._remove_folder()
        return list(names)

    def _write_block(self, path: Path, queries: Sequence[Query], calls: Mapping[str, list[bytes]]) -> bool:
        """Write a block of *queries*, with finished *calls* and trajectories that it continues.

        A block of an earlier try has its own, but may lack those of queries that ran in another block. False
        if a worker is in it, so that it was not given them.
        """
        write_block(path, queries)
        there = find_places(path / NAME) if (path / NAME).exists() else None
        lacking = [query for query in queries if there is None or query.id not in there]
        if lacking:
            found = [self._store.earlier(query) for query in lacking]
            made = [line for query in queries for line in calls.get(query.id, ())]
            try:
                begin_block(path, self._store.record, self._store.now(), filter(None, found), made)
            except StoreBusy:  # a worker whose driver died is about to end
                return False
        return True

    async def follow(self, names: Sequence[str], pool: Pool) -> None:
        """Run the blocks *names* on *pool*, and keep their trajectories as they appear.

        Raises:
            TpoError: the fatal error of a worker.
        """
        remaining = dict.fromkeys(names)
        async with aclosing(self._rows(names, pool)) as rows:
            async for row in rows:
                if row is None:
                    # Blocks start in order, each worker with a few at a time.
                    for name in islice(remaining, 4 * pool.overlap * pool.max_size):
                        await self._take_finished(name)
                    continue
                if row["block"] not in remaining:  # Ray ran it again after its directory was removed
                    continue
                if row["kind"]:
                    raise _error(row["kind"], row["error"])
                self._retries.by_phase.update(json.loads(row["retries"]))
                await self._end_block(row["block"])
                del remaining[row["block"]]
        self._remove_folder()
        if remaining:
            raise StoreError(f"{len(remaining):,} blocks did not end; the same command resumes them")

    async def _rows(self, names: Sequence[str], pool: Pool) -> AsyncGenerator[Mapping[str, Any] | None]:
        """Yield the row of each block that ends, and None every :data:`FOLLOWING` seconds."""
        ended: asyncio.Queue[Mapping[str, Any] | BaseException | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def receive(row: Mapping[str, Any] | BaseException | None) -> None:
            with suppress(RuntimeError):  # the driver was interrupted, and its loop is closed
                loop.call_soon_threadsafe(ended.put_nowait, row)

        plan = replace(self.plan.pinned(), fresh=False, settings=replace(self.plan.settings, ray=None))
        arguments = {
            "plan": plan,
            "folder": self._folder,
            "directory": str(Path.cwd()),
            "overlap": pool.overlap,
        }
        stream = self._stream([{"block": name} for name in names], BlockRunner, arguments, pool)
        stream.start(receive)
        try:
            while True:
                try:
                    row = await asyncio.wait_for(ended.get(), FOLLOWING)
                except TimeoutError:
                    yield None
                    continue
                if row is None:
                    return
                if isinstance(row, BaseException):
                    raise translated(row) from row
                yield row
        finally:
            stream.stop()

    async def _take_finished(self, name: str) -> None:
        """Keep the trajectories of a block that have appeared since the last look."""
        tail = self._tails.setdefault(name, Tail(self._folder / name / NAME))
        more = True
        while more:
            growth = tail.read()
            more = growth.more
            # Together, so that they share commits to the disk.
            await asyncio.gather(*(self._keep_line(line.content) for line in growth.lines))

    async def _end_block(self, name: str) -> None:
        """Keep what a block that has ended holds; remove its directory unless queries failed.

        Raises:
            StoreError: a query of the block has no trajectory there.
        """
        places = await self._all_places(name)
        del self._tails[name]
        file = self._folder / name / NAME
        failed = [place.last for place in places.values() if not place.last.finished]
        for trajectory in read_places(file, failed):
            await self._keep(trajectory, failures=True)
        if failed:
            return
        if self._parts is None:
            shutil.rmtree(self._folder / name, ignore_errors=True)
        else:
            (self._folder / name / QUERIES).unlink(missing_ok=True)

    async def _all_places(self, name: str) -> dict[str, Place]:
        """Keep the trajectories of a block that has ended; return their places when all are there."""
        path = self._folder / name
        ids = [query.id for query in read_block(path)]
        for wait in (*self._late, 0.0):
            # In this order: what is seen here is also read below, although more lines may appear meanwhile.
            places = find_places(path / NAME) if (path / NAME).exists() else {}
            await self._take_finished(name)
            if lost := [each for each in ids if not self._has_ended(places.get(each))]:
                await asyncio.sleep(wait)
            else:
                return places
        raise StoreError(
            f"{path}: the block has ended, but {path / NAME} lacks {len(lost):,} of its queries, such as "
            f"{lost[0]!r}; the same command resumes them"
        )

    def _has_ended(self, place: Place | None) -> bool:
        """Return whether a query has ended; a line with fewer iterations at *place* is an old one."""
        allowed = self.plan.method.max_iterations
        return place is not None and (not place.last.finished or place.is_done(allowed))

    async def _keep_line(self, line: bytes) -> None:
        with suppress(ValueError):  # a damaged line: its query is run again
            await self._keep(decode_trajectory(line), failures=False)

    async def _keep(self, trajectory: Trajectory, *, failures: bool) -> None:
        """Keep *trajectory* unless its query is finished, or is still to be continued by its block."""
        allowed = self.plan.method.max_iterations
        extended = goes_on(trajectory.stop_reason, len(trajectory.steps), allowed)
        failed = trajectory.status == "failed"
        if trajectory.query.id in self._store.finished or extended or (failed and not failures):
            return
        await self.results.keep(trajectory)
        self.results.announce(QueryEnded(trajectory))

    def _remove_folder(self) -> None:
        with suppress(OSError):  # it holds blocks with failed queries, or was never made
            self._folder.rmdir()


def _error(kind: str, text: str) -> TpoError:
    """Return the error of a worker anew: a class of :mod:`tpo.errors` that takes one text, or its parent."""
    found = getattr(tpo.errors, kind, TpoError)
    return ConfigError(text) if found is MissingExtra else found(text)


def _chunks(queries: Iterator[Query], size: int) -> Iterator[list[Query]]:
    while chunk := list(islice(queries, size)):
        yield chunk


def _unique(queries: Iterable[Query]) -> Iterator[Query]:
    """Yield *queries*.

    Raises:
        DataError: an id occurs twice.
    """
    seen: set[str] = set()
    for query in queries:
        if query.id in seen:
            raise DataError(f"query id {query.id!r} occurs twice: resume matches queries by id")
        seen.add(query.id)
        yield query
