"""Table of a run's queries: totals, the file offset of each query's line, and the rows page by page.

Of a large run the table shows a sample, as a report does, so that memory does not grow with the run.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tpo.report.collector import RunCollector
from tpo.report.measures import measure
from tpo.report.partial_run import MAX_REASONS, parse_line, unreadable_lines_note
from tpo.report.query_table import sample_place
from tpo.store.reader import goes_on, replaces
from tpo.store.temporary_files import TemporaryDatabase, database_key
from tpo.types import StopReason, Trajectory
from tpo.view.tail import Line
from tpo.view.throughput import Throughput, written_tokens

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


@dataclass(frozen=True, slots=True)
class _Attempt:
    """Latest attempt at a query; *answer_tokens* are those of its last finished attempt, 0 without one."""

    failed: bool
    ended: float
    stop_reason: StopReason
    iterations: int
    tokens: int
    answer_tokens: int

    @property
    def journaled_tokens(self) -> int:
        """Tokens of a failed attempt: its calls stay in the journal."""
        return max(self.tokens - self.answer_tokens, 0)


@dataclass(frozen=True, slots=True)
class Resumption:
    """Invocation that began at *since*: it retries failed queries and adds iterations to *max_iterations*."""

    since: float = -math.inf
    max_iterations: int = 0

    def includes(self, attempt: _Attempt) -> bool:
        """Return whether the query of *attempt* has not ended yet."""
        if attempt.failed:
            return attempt.ended < self.since
        return goes_on(attempt.stop_reason, attempt.iterations, self.max_iterations)


class RunTable:
    """Rows of one generation of a run, by the lines that count (:func:`tpo.store.reader.replaces`).

    A query keeps its first row, so that what the page has open stays in place. With *sample* only some
    queries have rows, all are in the totals, and a finished query counts once. The table contains the queries
    that have ended; *resumption* says which of them are in progress again.
    """

    def __init__(self, name: str, number: int, sample: RowSample | None = None) -> None:
        self.gathering = RunCollector(name, number)
        self.sample = sample
        self._ended = None if sample is None else _Names()
        """Queries that have ended, with *sample*: the others have no rows."""
        self.throughput = Throughput()
        self.resumption = Resumption()
        self.stale = False
        """True if a finished query occurred again, with more iterations: totals must be recomputed."""
        self.version = 0
        """Number of changes of the totals and figures."""
        self._attempts: dict[str, _Attempt] = {}
        """Latest attempt at each query; with *sample*, only at those that failed."""
        self._places: list[Place] = []
        self._changes: list[int] = []
        """Rows that changed after they were added, in the order of the changes."""
        self._unreadable = 0
        self._reasons: list[str] = []

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, query: object) -> bool:
        attempt = self._attempts.get(str(query))
        if attempt is not None:
            return not self.resumption.includes(attempt)
        return self._ended is not None and query in self._ended

    def resumed(self) -> tuple[int, int]:
        """Return the number of queries in progress again, and their tokens that the journal holds, too."""
        found = [each for each in self._attempts.values() if self.resumption.includes(each)]
        return len(found), sum(each.journaled_tokens for each in found)

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
            self._add_attempt(found)
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

    def _add_attempt(self, found: Trajectory) -> None:
        query, tokens = found.query.id, written_tokens(found)
        earlier = self._attempts.pop(query, None)
        self.throughput.add(found, 0 if earlier is None else earlier.tokens)
        failed = found.status != "finished"
        if failed or self.sample is None:
            answer_tokens = tokens if not failed else 0 if earlier is None else earlier.answer_tokens
            reason = sys.intern(found.stop_reason)
            self._attempts[query] = _Attempt(
                failed, found.timing.ended, reason, len(found.steps), tokens, answer_tokens
            )

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
            self.gathering.replace_row(found, measure(found))
        else:
            self.gathering.add(found)

    def rebuild(self, read: Callable[[Place], Trajectory | None]) -> bool:
        """Compute totals again from the lines that *read* returns; return whether all were there."""
        before, self.stale = self.gathering, False
        self.version += 1
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
