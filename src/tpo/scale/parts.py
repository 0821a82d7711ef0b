"""Parts of a run on Ray that stay where the workers wrote them, with an index (``--keep-parts``).

The trajectories of a run are then in the directories of its blocks, below ``shards``; its own file stays
empty. ``parts.jsonl`` marks such a run, and lists its parts when it has ended.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from tpo.scale.blocks import read_block
from tpo.store.directory import RunDirectory
from tpo.store.files import replace_file, rewrite_file, sync_directory
from tpo.store.journal import JOURNAL, read_calls
from tpo.store.jsonline import seal
from tpo.store.lock import Lock
from tpo.store.reader import NAME, Place, find_furthest, find_places, read_places
from tpo.store.resume import changed_columns, check_row
from tpo.store.runfile import MAX_ITERATIONS, RunRecord
from tpo.store.shards import BLOCK, FOLDER, PARTS
from tpo.types import Query, Trajectory


class Parts:
    """The trajectories in the parts of the run in *directory*: as a run directory has them, for its driver.

    Workers write trajectories; the driver only counts them.

    Raises:
        StoreError: a part cannot be read.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._folder = directory.path.resolve() / FOLDER
        self.record: RunRecord = directory.record
        self.now = directory.now
        self._checked = directory.checked_columns
        self._allowed = directory.record.fingerprint.get(MAX_ITERATIONS)
        self._places = self._find()
        self.finished = {query for query, (_, place) in self._places.items() if place.is_done(self._allowed)}
        """Ids of queries that are done."""
        last = {query: place.last for query, (_, place) in self._places.items()}
        self.failed = {query: place for query, place in last.items() if not place.finished}
        """Places of the lines of queries whose latest attempt failed, as the run was opened, by id."""
        if not (directory.path / PARTS).exists():
            replace_file(directory.path / PARTS, b"")

    def is_finished(self, query: Query) -> bool:
        """Return whether *query* is done.

        Raises:
            StoreMismatch: its id is done, with other messages, another reference, or other columns that a
                reward reads.
        """
        if query.id in self.finished and query.id in self._places:
            file, place = self._places[query.id]
            check_row(file.parent, place, query, self._checked)
        return query.id in self.finished

    def earlier(self, query: Query) -> Trajectory | None:
        """Return the recorded trajectory of *query*, if it goes on: it failed, or had fewer iterations.

        None where a column that a reward reads has changed since.
        """
        if query.id not in self._places or query.id in self.finished:
            return None
        file, place = self._places[query.id]
        if changed_columns(file.parent, place, query, self._checked):
            return None
        return next(read_places(file, [place]), None)

    def known_totals(self) -> Mapping[str, Any] | None:
        """Return the totals of the invocation before this one; None unless it has ended."""
        return self._directory.known_totals()

    def read_finished(self) -> Iterator[Trajectory]:
        """Yield the trajectories that were finished when the run was opened."""
        yield from _read(self._at(query for query in self._places if query in self.finished))

    def read(self, places: list[Place]) -> Iterator[Trajectory]:
        """Yield the failed trajectories at *places*."""
        wanted = set(map(id, places))
        queries = (query for query, place in self.failed.items() if id(place) in wanted)
        last = ((file, place.last) for file, place in self._at(queries))
        yield from _read((file, place) for file, place in last if not place.finished)

    async def append(self, trajectory: Trajectory) -> None:
        """Count *trajectory*, which its part holds."""
        if trajectory.status == "finished":
            self.finished.add(trajectory.query.id)

    def drop_copies(self, names: Mapping[str, bool]) -> None:
        """Remove lines and calls of unfinished queries that another part has, first of all one of *names*.

        The queries of *names* run; these parts keep all that they have. True are those that were given what
        they continue.

        Raises:
            StoreBusy: a process works in a part.
            StoreError: a part cannot be written.
        """
        self._places = self._find()
        files = self._files()
        running = {query for file in files if file.parent.name in names for query in find_places(file)}
        begun = (self._folder / name for name, is_begun in names.items() if is_begun)
        running |= {query.id for path in begun for query in read_block(path)}
        for file in files:
            if file.parent.name in names:
                continue
            places = find_places(file)
            dropped = {
                query
                for query, place in places.items()
                if not place.is_done(self._allowed) and (query in running or self._places[query][0] != file)
            }
            if dropped:
                kept = (place for query, place in places.items() if query not in dropped)
                with Lock(file.parent):
                    _keep_lines(file, {each.offset for place in kept for each in (place, place.last)})
                    _drop_calls(file.parent / JOURNAL, dropped)
        self._places = self._find()

    def seconds_until(self, ended: float) -> float:
        """Return the wall time of all invocations if this one ends at *ended*."""
        return self._directory.seconds_until(ended)

    async def end(
        self,
        totals: Mapping[str, Any],
        ended: float,
        *,
        interrupted: bool,
        retries: Mapping[str, int] | None = None,
    ) -> None:
        """Write the index of the parts, and record the end of this invocation.

        Raises:
            StoreError: they could not be written.
        """
        index = (seal(_entry(file)) for file in self._files())
        replace_file(self._directory.path / PARTS, b"".join(index))
        await self._directory.end(totals, ended, interrupted=interrupted, retries=retries)

    def _find(self) -> dict[str, tuple[Path, Place]]:
        return find_furthest(self._files(), self._allowed)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"{BLOCK}*/{NAME}"))

    def _at(self, queries: Iterable[str]) -> Iterator[tuple[Path, Place]]:
        return (self._places[query] for query in queries if query in self._places)


def _read(found: Iterable[tuple[Path, Place]]) -> Iterator[Trajectory]:
    for file, places in groupby(found, key=itemgetter(0)):
        yield from read_places(file, [place for _, place in places])


def _keep_lines(file: Path, offsets: set[int]) -> None:
    """Rewrite *file* with the lines at *offsets* only."""

    def lines() -> Iterator[bytes]:
        with file.open("rb") as old:
            for offset in sorted(offsets):
                old.seek(offset)
                yield old.readline()

    os.close(rewrite_file(file, lambda new: new.writelines(lines())))
    sync_directory(file.parent)


def _drop_calls(journal: Path, queries: Collection[str]) -> None:
    """Remove the calls of *queries* from the file *journal*."""
    if journal.exists():
        replace_file(journal, b"".join(chain.from_iterable(read_calls([journal], queries).values())))


def _entry(file: Path) -> dict[str, Any]:
    places = find_places(file).values()
    finished = sum(place.last.finished for place in places)
    return {
        "part": f"{FOLDER}/{file.parent.name}",
        "finished": finished,
        "failed": len(places) - finished,
        "bytes": file.stat().st_size,
    }
