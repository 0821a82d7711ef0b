"""Table of a run's queries: totals, the file offset of each query's line, and the rows page by page.

Of a large run the table shows a sample, as a report does, so that memory does not grow with the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tpo.report.collector import RunCollector
from tpo.report.partial_run import MAX_REASONS, parse_line, unreadable_lines_note
from tpo.report.query_table import sample_place
from tpo.store.reader import goes_on, replaces
from tpo.store.temporary_files import TemporaryDatabase, database_key
from tpo.types import Trajectory
from tpo.view.tail import Line
from tpo.view.throughput import Throughput

PAGE_SIZE = 5000
"""Maximum rows per response."""


Place = tuple[int, int]
"""Number of the part of the run, and offset of a line in its file."""


@dataclass(frozen=True, slots=True)
class RowSample:
    """*share* of the queries that have rows. A line counts if its query has used *max_iterations*."""

    share: float
    max_iterations: int

    def counts(self, trajectory: Trajectory) -> bool:
        """Return whether no other line of its query follows *trajectory*, unless it failed."""
        return not goes_on(trajectory.stop_reason, len(trajectory.steps), self.max_iterations)


class RunTable:
    """Rows of one generation of a run, by the lines that count (:func:`tpo.store.reader.replaces`).

    A query keeps its first row, so that what the page has open stays in place. With *sample* only some
    queries have rows, all are in the totals, and a finished query counts once.
    """

    def __init__(self, name: str, number: int, sample: RowSample | None = None) -> None:
        self.gathering = RunCollector(name, number)
        self.sample = sample
        self._ended = None if sample is None else _Names()
        """Queries that have ended, with *sample*: the others have no rows."""
        self.throughput = Throughput()
        self.stale = False
        """True if a finished query occurred again (no run writes that): totals must be recomputed."""
        self.version = 0
        """Trajectories that were read, of which totals and figures are made."""
        self._places: list[Place] = []
        self._changes: list[int] = []
        """Rows that changed after they were added, in the order of the changes."""
        self._unreadable = 0
        self._reasons: list[str] = []

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, query: object) -> bool:
        return query in self.gathering.rows or (self._ended is not None and query in self._ended)

    @property
    def ids(self) -> list[str]:
        """Query id of each row."""
        return self.gathering.table.columns["id"]

    def notes(self) -> list[str]:
        """Return notes on lines that could not be read."""
        return unreadable_lines_note(self._reasons, self._unreadable)

    def place(self, row: int) -> Place | None:
        """Return the place of the line of *row*; None if there is no such row."""
        return self._places[row] if 0 <= row < len(self._places) else None

    def add_line(self, line: Line, part: int = 0) -> None:
        """Add *line* of the file of *part*."""
        found = parse_line(line.content, line.number)
        if not isinstance(found, Trajectory):
            self._unreadable += 1
            if self._unreadable <= MAX_REASONS:
                self._reasons.append(found)
            return
        self.version += 1
        if self._ended is None or self._counts(found, self._ended):
            self.throughput.add(found)
            if self.sample is None or sample_place(found.query.id) < self.sample.share:
                self._add_row(found, (part, line.offset))
            else:
                self.gathering.count(found)

    def _counts(self, found: Trajectory, ended: _Names) -> bool:
        """Return whether the totals of a sampled run include *found*; add its query to those *ended*."""
        query = found.query.id
        again = query in ended and not self.gathering.has_failed(query)
        if again or self.sample is None or not self.sample.counts(found):
            return False
        ended.add(query)
        return True

    def _add_row(self, found: Trajectory, place: Place) -> None:
        row = self.gathering.rows.get(found.query.id)
        finished = self.gathering.is_finished(found.query.id)
        if row is None:
            self._places.append(place)
        elif replaces(found.status == "finished", finished):
            self._places[row] = place
            self._changes.append(row)
        else:
            return
        if finished:
            self.stale = True
        else:
            self.gathering.add(found)

    def rebuild(self, read: Callable[[Place], Trajectory | None]) -> bool:
        """Compute totals again from the lines that *read* returns; return whether all were there."""
        before, self.stale = self.gathering, False
        self.gathering = RunCollector(before.name, before.number)
        for query, place in zip(before.rows, self._places, strict=True):
            found = read(place)
            if found is None or found.query.id != query:
                return False
            self.gathering.add(found)
        return True

    def rows(self, start: int, changes: int) -> dict[str, Any]:
        """Return PAGE_SIZE rows at most from *start*, and earlier rows changed since *changes*."""
        columns = self.gathering.table.columns
        start = min(start, len(self))
        end = min(start + PAGE_SIZE, len(self))
        revised = sorted({row for row in self._changes[changes:] if row < start})
        return {
            "start": start,
            "columns": {name: values[start:end] for name, values in columns.items()},
            "revised": revised,
            "revisions": {name: [values[row] for row in revised] for name, values in columns.items()},
            "changes": len(self._changes),
            "more": end < len(self),
        }


class _Names:
    """Set of names on disk."""

    def __init__(self) -> None:
        self._database = TemporaryDatabase("CREATE TABLE name (name BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, name: str) -> None:
        self._database.write("INSERT OR IGNORE INTO name VALUES (?)", [(database_key(name),)])

    def __contains__(self, name: object) -> bool:
        return any(self._database.read("SELECT 1 FROM name WHERE name = ?", (database_key(str(name)),)))
