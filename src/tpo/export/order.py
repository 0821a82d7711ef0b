"""Trajectories of a run in the order of its data: they are stored in the order in which queries ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tpo.store.index import TrajectoryIndex
from tpo.store.reader import trajectory_files
from tpo.types import Trajectory


def read_in_order(run: Path) -> Iterator[Trajectory]:
    """Yield the trajectories of the directory *run* in the order of the data, one in memory at a time.

    A query has the position that was recorded when it ended: rows that were inserted or moved later do not
    change it. Queries without one are ordered by their id where it is ``q`` and a number, else they follow
    the others as they are stored.

    Raises:
        StoreError: there is no run, or another version wrote it.
    """
    with TrajectoryIndex(trajectory_files(run)) as index:
        yield from index.trajectories()
