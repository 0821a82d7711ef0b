"""Blocks that an interrupted run on Ray left: their finished work joins the run's own files.

So the run continues in one process, or in other blocks, and repeats nothing that is finished. The lines are
on disk in the run before a block is removed: a crash in between only leaves them in both.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tpo.errors import StoreBusy
from tpo.store.journal import JOURNAL
from tpo.store.lines import AppendFile
from tpo.store.lock import Lock
from tpo.store.reader import NAME, Place, find_places, whole_lines
from tpo.store.shards import FOLDER, block_directories


def join_blocks(path: Path, trajectories: AppendFile, places: Mapping[str, Place]) -> bool:
    """Append what the blocks of the run at *path* have finished to its files, and remove them.

    *trajectories* is the run's file, which has the lines at *places*. A block that a process uses stays.

    Returns:
        Whether *trajectories* grew.

    Raises:
        StoreError: a file cannot be read or written.
    """
    blocks = block_directories(path)
    if not blocks:
        return False
    size, journal = trajectories.size, AppendFile(path / JOURNAL)
    try:
        known = set(_lines(journal.path))
        for block in blocks:
            with suppress(StoreBusy), Lock(block):  # a worker whose driver died is about to end
                trajectories.append_now(b"".join(_new_lines(block / NAME, places)))
                journal.append_now(b"".join(line for line in _lines(block / JOURNAL) if line not in known))
                shutil.rmtree(block)
    finally:
        journal.close_now()
    with suppress(OSError):  # others are there
        (path / FOLDER).rmdir()
    return trajectories.size > size


def _lines(file: Path) -> Iterator[bytes]:
    return (line for _, _, line in whole_lines(file)) if file.exists() else iter(())


def _new_lines(file: Path, places: Mapping[str, Place]) -> Iterator[bytes]:
    """Yield the lines of *file* that tell more of their queries than those at *places*."""
    if not file.exists():
        return
    found = find_places(file)
    new = {each.offset for query, each in found.items() if _is_new(each, places.get(query))}
    yield from (line for _, offset, line in whole_lines(file) if offset in new)


def _is_new(place: Place, there: Place | None) -> bool:
    return place.finished and (there is None or not there.finished or there.iterations < place.iterations)
