"""Index of the trajectories of a run or of its parts, kept on disk: memory does not grow with the run."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tpo.store.reader import OpenFiles, goes_on, warn_of_damage, whole_lines
from tpo.store.temporary_files import TemporaryDatabase, database_key, text_from_key
from tpo.store.trajectory_line import decode_head, decode_position, decode_trajectory
from tpo.types import Trajectory

log = logging.getLogger(__name__)

_BY_POSITION = re.compile(r"q(\d{1,18})", re.ASCII)
_TABLE = """
CREATE TABLE line (
    part INTEGER, id BLOB, position INTEGER, start INTEGER, finished INTEGER, done INTEGER,
    PRIMARY KEY (part, id)
) WITHOUT ROWID
"""
# finished: of the line at start. done, of the latest attempt: 1 if it is, 0 if it failed, NULL if it goes on.

_INSERT = """
INSERT INTO line VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (part, id) DO UPDATE SET
    position = excluded.position,
    start = CASE WHEN replaces(excluded.finished, line.finished) THEN excluded.start ELSE line.start END,
    finished = max(excluded.finished, line.finished),
    done = excluded.done
"""

_COUNT = """
SELECT COALESCE(SUM(done), 0), COALESCE(SUM(NOT done), 0), COALESCE(SUM(done IS NULL), 0) FROM line
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of queries that are *done*, that *failed*, and that have *fewer* iterations than allowed."""

    done: int = 0
    failed: int = 0
    fewer: int = 0

    @property
    def all(self) -> int:
        """Number of queries with a line."""
        return self.done + self.failed + self.fewer


class TrajectoryIndex:
    """The line that counts of each query in the trajectory files *files*, in a temporary database.

    Use it in a ``with`` block. Damaged lines are left out with a warning. *max_iterations* is D of the run:
    finished queries with fewer may not be done, see :meth:`tpo.store.reader.Place.is_done`.

    Raises:
        StoreError: a file cannot be read, a later version wrote it, or the temporary directory is full.
    """

    def __init__(self, files: Sequence[Path], max_iterations: object = None) -> None:
        self.files = tuple(files)
        self._database = TemporaryDatabase(_TABLE)
        try:
            for part, file in enumerate(self.files):
                self._database.write(_INSERT, _rows(part, file, max_iterations))
        except BaseException:
            self._database.close()
            raise

    def counts(self, part: int | None = None) -> Counts:
        """Return how many queries of *part*, or of all parts, are done, failed or to be continued."""
        chosen, values = ("", ()) if part is None else (" WHERE part = ?", (part,))
        return Counts(*next(self._database.read(_COUNT + chosen, values)))

    def duplicates(self, limit: int) -> list[str]:
        """Return at most *limit* ids that occur in more than one file."""
        query = "SELECT id FROM line GROUP BY id HAVING COUNT(*) > 1 LIMIT ?"
        return [text_from_key(name) for (name,) in self._database.read(query, (limit,))]

    def ids(self, part: int) -> Iterator[str]:
        """Yield the ids of *part*."""
        found = self._database.read("SELECT id FROM line WHERE part = ?", (part,))
        return (text_from_key(name) for (name,) in found)

    def has_ended(self, part: int, query: str) -> bool:
        """Return whether the query of *part* with the id *query* is done or failed."""
        found = self._database.read(
            "SELECT 1 FROM line WHERE part = ? AND id = ? AND done IS NOT NULL", (part, database_key(query))
        )
        return any(found)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines by their recorded positions; queries without one follow as they are stored."""
        query = "SELECT part, start FROM line ORDER BY position IS NULL, position, part, start"
        with OpenFiles() as opened:
            for part, start in self._database.read(query):
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


def _rows(
    part: int, file: Path, max_iterations: object
) -> Iterator[tuple[int, bytes, int | None, int, bool, bool | None]]:
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
        more = head.finished and goes_on(head.stop_reason, head.iterations, max_iterations)
        done = None if more else head.finished
        yield part, database_key(head.id), position, start, head.finished, done
    warn_of_damage(file, damaged)
