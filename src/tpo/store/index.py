"""Index of the trajectories of a run or of its parts, kept on disk: memory does not grow with the run."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tpo.store.reader import OpenFiles, warn_of_damage, whole_lines
from tpo.store.trajectory_line import decode_head, decode_position, decode_trajectory
from tpo.types import Trajectory

log = logging.getLogger(__name__)

_BY_POSITION = re.compile(r"q(\d{1,18})", re.ASCII)
_TABLE = """
CREATE TABLE line (
    part INTEGER, id BLOB, position INTEGER, start INTEGER, finished INTEGER, PRIMARY KEY (part, id)
) WITHOUT ROWID
"""


class TrajectoryIndex:
    """The last line of each query in the trajectory files *files*, in a temporary database.

    Use it in a ``with`` block. Damaged lines are left out with a warning.

    Raises:
        StoreError: a file cannot be read, or a later version wrote it.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self._database = sqlite3.connect("")  # a temporary file, which SQLite removes
        self._database.execute(_TABLE)
        insert = "INSERT OR REPLACE INTO line VALUES (?, ?, ?, ?, ?)"
        try:
            for part, file in enumerate(self.files):
                self._database.executemany(insert, _rows(part, file))
        except BaseException:
            self._database.close()
            raise

    def counts(self, part: int) -> tuple[int, int]:
        """Return how many queries of *part* are finished and how many failed."""
        query = "SELECT COUNT(*), COALESCE(SUM(finished), 0) FROM line WHERE part = ?"
        ended, finished = self._database.execute(query, (part,)).fetchone()
        return finished, ended - finished

    def duplicates(self, limit: int) -> list[str]:
        """Return at most *limit* ids that occur in more than one file."""
        query = "SELECT id FROM line GROUP BY id HAVING COUNT(*) > 1 LIMIT ?"
        return [_text(name) for (name,) in self._database.execute(query, (limit,))]

    def ids(self, part: int) -> Iterator[str]:
        """Yield the ids of *part*."""
        found = self._database.execute("SELECT id FROM line WHERE part = ?", (part,))
        return (_text(name) for (name,) in found)

    def holds(self, part: int, query: str) -> bool:
        """Return whether the id *query* occurs in *part*."""
        found = self._database.execute(
            "SELECT 1 FROM line WHERE part = ? AND id = ?", (part, database_key(query))
        )
        return found.fetchone() is not None

    def lines(self) -> Iterator[bytes]:
        """Yield the lines in the order of the data; queries without a position follow as they are stored."""
        query = "SELECT part, start FROM line ORDER BY position IS NULL, position, part, start"
        with OpenFiles() as opened:
            for part, start in self._database.execute(query):
                yield opened.line(self.files[part], start)

    def trajectories(self) -> Iterator[Trajectory]:
        """Yield the trajectories of :meth:`lines`; a line that holds none is left out with a warning."""
        damaged = 0
        for line in self.lines():
            try:
                trajectory = decode_trajectory(line)
            except ValueError:
                damaged += 1
            else:
                yield trajectory
        if damaged:
            log.warning("%s: %d damaged lines are left out", self.files[0], damaged)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()


def _rows(part: int, file: Path) -> Iterator[tuple[int, bytes, int | None, int, bool]]:
    damaged = []
    for number, start, line in whole_lines(file):
        try:
            head = decode_head(line, f"{file}, line {number}")
            position = decode_position(line)
        except ValueError:
            damaged.append(number)
            continue
        if position is None and (numbered := _BY_POSITION.fullmatch(head.id)):
            position = int(numbered[1])
        yield part, database_key(head.id), position, start, head.finished
    warn_of_damage(file, damaged)


def database_key(query: str) -> bytes:
    """Return *query* as bytes: SQLite has no text with half a surrogate pair."""
    return query.encode("utf-8", "surrogatepass")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")
