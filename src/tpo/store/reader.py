"""Read trajectories from a run directory, one at a time; one line of a query counts (:func:`replaces`)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Self

from tpo.errors import StoreError
from tpo.store.line_types import Head
from tpo.store.shards import run_directories
from tpo.store.trajectory_line import decode_head, decode_trajectory
from tpo.types import StopReason, Trajectory

log = logging.getLogger(__name__)

NAME = "trajectories.jsonl"

CONTINUED = ("max_iterations", "sample_cost")
"""Stop reasons after which a query goes on with a larger D: the second only ended the first draw."""

MAX_OPEN = 64
"""Files of parts that are open at a time; a run may have thousands of parts."""


def replaces(finished: bool, earlier: bool) -> bool:
    """Return whether a line counts in place of an earlier one of its query, as both are *finished* or failed.

    The last line counts, but a failed one never replaces a finished one: of a query that fails while it is
    continued with a larger D, the answer is kept.
    """
    return finished or not earlier


@dataclass(frozen=True, slots=True)
class Place:
    """A query's line: its number from 1, its first byte, and values of its head.

    *later_failure* is the line of a failed attempt to continue the query.
    """

    line: int
    offset: int
    finished: bool
    stop_reason: StopReason
    iterations: int
    digest: str
    later_failure: Place | None = None

    @property
    def last(self) -> Place:
        """The line of the latest attempt."""
        return self.later_failure or self

    def is_done(self, max_iterations: object) -> bool:
        """Return whether the query is finished and has used all iterations that a run of D allows."""
        return self.finished and not goes_on(self.stop_reason, self.iterations, max_iterations)


def goes_on(stop_reason: StopReason, iterations: int, max_iterations: object) -> bool:
    """Return whether a query that ended for *stop_reason* after *iterations* goes on in a run of D."""
    return stop_reason in CONTINUED and isinstance(max_iterations, int) and iterations < max_iterations


def read_trajectories(path: Path) -> Iterator[Trajectory]:
    """Yield the trajectories of the run in the directory *path* (or of the file itself), in the file's order.

    Holds one at a time: a first pass finds each query's line, a second reads those. A line that a crash cut
    off is not there; a damaged one is left out with a warning. A run under way may be read. Shards that
    are not merged are read one after the other.

    Raises:
        StoreError: there is no such file, or a later version wrote it.
    """
    for file in trajectory_files(path):
        yield from read_places(file, sorted(find_places(file).values(), key=lambda place: place.offset))


def read_attempts(path: Path, *, failed_only: bool = False) -> Iterator[Trajectory]:
    """Yield the latest attempt of each query, as :func:`read_trajectories`; if asked, failed ones only."""
    for file in trajectory_files(path):
        last = (place.last for place in find_places(file).values())
        wanted = (place for place in last if not (failed_only and place.finished))
        yield from read_places(file, sorted(wanted, key=lambda place: place.offset))


def trajectory_files(path: Path) -> list[Path]:
    """Return the files that hold the trajectories of the run at *path*: one, or one for each shard."""
    if not path.is_dir():
        return [path]
    files = [directory / NAME for directory in run_directories(path)]
    return files if len(files) == 1 else [file for file in files if file.exists()]


def find_places(file: Path) -> dict[str, Place]:
    """Return, by query, the place of the line that counts; damaged lines are left out with a warning.

    Raises:
        StoreError: there is no such file, or a later version wrote it.
    """
    places: dict[str, Place] = {}
    damaged = []
    for number, offset, line in whole_lines(file):
        try:
            head = decode_head(line, f"{file}, line {number}")
        except ValueError:
            damaged.append(number)
        else:
            place, there = _place(number, offset, head), places.get(head.id)
            if there is not None and not replaces(place.finished, there.finished):
                place = replace(there, later_failure=place)
            places[head.id] = place
    warn_of_damage(file, damaged)
    return places


def find_furthest(files: Iterable[Path], max_iterations: object) -> dict[str, tuple[Path, Place]]:
    """Return, by query, its file of *files* and its place there: of copies, the one that is furthest.

    Raises:
        StoreError: one is missing, or a later version wrote it.
    """

    def rank(place: Place) -> tuple[bool, bool, int]:
        return place.is_done(max_iterations), place.finished, place.iterations

    found: dict[str, tuple[Path, Place]] = {}
    for file in files:
        for query, place in find_places(file).items():
            if query not in found or rank(place) > rank(found[query][1]):
                found[query] = file, place
    return found


class OpenFiles:
    """Files that are read in turn: the last :data:`MAX_OPEN` stay open. Use it in a ``with`` block."""

    def __init__(self) -> None:
        self._files: dict[Path, BinaryIO] = {}

    def line(self, path: Path, start: int) -> bytes:
        """Return the line of the file *path* that begins at *start*."""
        file = self._files.pop(path, None) or path.open("rb")
        self._files[path] = file
        if len(self._files) > MAX_OPEN:
            self._files.pop(next(iter(self._files))).close()
        file.seek(start)
        return file.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for file in self._files.values():
            file.close()


def read_places(file: Path, places: Iterable[Place]) -> Iterator[Trajectory]:
    """Yield the trajectories at *places* of *file*; a line that holds none is left out with a warning."""
    damaged = []
    with file.open("rb") as lines:
        for place in places:
            lines.seek(place.offset)
            try:
                trajectory = decode_trajectory(lines.readline())
            except ValueError:
                damaged.append(place.line)
            else:
                yield trajectory
    warn_of_damage(file, damaged)


def _place(line: int, offset: int, head: Head) -> Place:
    stop_reason = sys.intern(head.stop_reason)  # a run holds a place for every query
    return Place(line, offset, head.finished, stop_reason, head.iterations, head.digest)


def warn_of_damage(file: Path, damaged: list[int]) -> None:
    """Log the numbers of the lines of *file* that are *damaged*."""
    if damaged:
        shown = ", ".join(map(str, damaged[:10])) + (", ..." if len(damaged) > 10 else "")
        log.warning("%s: %d damaged lines are left out: %s", file, len(damaged), shown)


def whole_lines(file: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, offset and bytes of each whole line of *file*.

    Raises:
        StoreError: it does not exist, or cannot be read.
    """
    offset = 0
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.endswith(b"\n"):
                    yield number, offset, line
                offset += len(line)
    except FileNotFoundError as error:
        raise StoreError(f"{file}: no trajectories are here; is this a run's directory?") from error
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror}") from error
