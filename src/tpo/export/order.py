"""Trajectories of a run in the order of its data: they are stored in the order in which queries ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tpo.store import reader
from tpo.types import Query, Trajectory

_BY_POSITION = re.compile(r"q(\d{1,18})", re.ASCII)


def read_in_order(run: Path) -> Iterator[Trajectory]:
    """Yield the trajectories of the directory *run* in the order of the data, one in memory at a time.

    Queries without a recorded position are ordered by their id where it is ``q`` and a number, else they
    follow the others as they are stored.

    Raises:
        StoreError: there is no run, or another version wrote it.
    """
    file = run / reader.NAME if run.is_dir() else run
    places = reader.find_places(file)
    as_stored = sorted(places.values(), key=lambda place: place.offset)
    positions = {t.query.id: _position(t.query) for t in reader.read_places(file, as_stored)}
    order = sorted(positions, key=lambda query: (positions[query] is None, positions[query] or 0))
    yield from reader.read_places(file, [places[query] for query in order])


def _position(query: Query) -> int | None:
    if query.position is not None:
        return query.position
    numbered = _BY_POSITION.fullmatch(query.id)
    return int(numbered[1]) if numbered else None
