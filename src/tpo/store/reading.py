"""Trajectories out of a run's directory, one at a time; of several lines for a query, the last one counts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.errors import StoreError
from tpo.store.jsonline import from_line
from tpo.store.records import check_schema, trajectory_from
from tpo.types import Trajectory

log = logging.getLogger(__name__)

NAME = "trajectories.jsonl"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a query's line stands: the line's number from 1, its first byte, and what it tells."""

    line: int
    offset: int
    finished: bool


def read_trajectories(path: Path) -> Iterator[Trajectory]:
    """The trajectories of the run in the directory *path* (or of the file itself), in the file's order.

    Holds one at a time: a first pass finds each query's last line, a second reads those. A line that a crash
    cut off is not there; a damaged one is left out with a warning. A run under way may be read.

    Raises:
        StoreError: there is no such file, or another version wrote it.
    """
    file = path / NAME if path.is_dir() else path
    yield from read_places(file, sorted(find_places(file).values(), key=lambda place: place.offset))


def find_places(file: Path) -> dict[str, Place]:
    """By query, the place of the line that counts.

    Raises:
        StoreError: there is no such file, or another version wrote it.
    """
    places: dict[str, Place] = {}
    damaged = []
    for number, offset, line in _lines(file):
        try:
            record = from_line(line)
            check_schema(record, f"{file}, line {number}")
            places[_id(record)] = Place(number, offset, record["status"] == "finished")
        except (ValueError, KeyError, TypeError):
            damaged.append(number)
    if damaged:
        shown = ", ".join(map(str, damaged[:10])) + (", ..." if len(damaged) > 10 else "")
        log.warning("%s: %d damaged lines are left out: %s", file, len(damaged), shown)
    return places


def read_places(file: Path, places: list[Place]) -> Iterator[Trajectory]:
    """The trajectories at *places* of *file*.

    Raises:
        StoreError: one of them is not whole.
    """
    if not places:
        return
    with file.open("rb") as lines:
        for place in places:
            lines.seek(place.offset)
            yield trajectory_from(from_line(lines.readline()), f"{file}, line {place.line}")


def _lines(file: Path) -> Iterator[tuple[int, int, bytes]]:
    """Number, offset and bytes of each whole line."""
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


def _id(record: dict[str, Any]) -> str:
    name = record["query"]["id"]
    if not isinstance(name, str):
        raise TypeError("a query's id must be a text")
    return name
