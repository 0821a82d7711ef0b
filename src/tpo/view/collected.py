"""What a run's lines come to: its numbers, where each query's line stands, and the table by the piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tpo.report.gather import Gathering
from tpo.report.salvage import SHOWN, read_line, unreadable_note
from tpo.types import Trajectory
from tpo.view.pace import Pace
from tpo.view.tail import Line

SLICE = 5000
"""Rows of the table that go to the page at once."""


class Collected:
    """The lines of one generation of a run: of several for a query, the last one counts.

    A query keeps the row in which it first stood, so that what the page shows open stays what it is.
    """

    def __init__(self, name: str, number: int) -> None:
        self.gathering = Gathering(name, number)
        self.pace = Pace()
        self.stale = False
        """Whether a finished query came again, which nothing writes: its numbers must be added up anew."""
        self._places: list[int] = []
        """By row, the offset of its line."""
        self._changes: list[int] = []
        """Rows that say something else than at first, in the order in which they changed."""
        self._unreadable = 0
        self._reasons: list[str] = []

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, query: object) -> bool:
        return query in self.gathering.rows

    @property
    def ids(self) -> list[str]:
        """By row, its query."""
        return self.gathering.index.columns["id"]

    def notes(self) -> list[str]:
        """What could not be read."""
        return unreadable_note(self._reasons, self._unreadable)

    def place(self, row: int) -> int | None:
        """The offset of the line of *row*; None: there is no such row."""
        return self._places[row] if 0 <= row < len(self._places) else None

    def take(self, line: Line) -> None:
        """Add what *line* holds."""
        found = read_line(line.content, line.number)
        if not isinstance(found, Trajectory):
            self._unreadable += 1
            if self._unreadable <= SHOWN:
                self._reasons.append(found)
            return
        self.pace.add(found)
        row = self.gathering.rows.get(found.query.id)
        if row is None:
            self._places.append(line.offset)
        else:
            self._places[row] = line.offset
            self._changes.append(row)
        if self.gathering.settled(found.query.id):
            self.stale = True
        else:
            self.gathering.add(found)

    def gather_again(self, read: Callable[[int], Trajectory | None]) -> bool:
        """Add up the lines that count, which *read* gives by their offsets; whether all were there."""
        before, self.stale = self.gathering, False
        self.gathering = Gathering(before.name, before.number)
        for query, offset in zip(before.rows, self._places, strict=True):
            found = read(offset)
            if found is None or found.query.id != query:
                return False
            self.gathering.add(found)
        return True

    def rows(self, start: int, changes: int) -> dict[str, Any]:
        """The table from row *start* on, SLICE rows at most, and what changed before it since *changes*."""
        columns = self.gathering.index.columns
        start = min(start, len(self))
        end = min(start + SLICE, len(self))
        revised = sorted({row for row in self._changes[changes:] if row < start})
        return {
            "start": start,
            "columns": {name: values[start:end] for name, values in columns.items()},
            "revised": revised,
            "revisions": {name: [values[row] for row in revised] for name, values in columns.items()},
            "changes": len(self._changes),
            "more": end < len(self),
        }
