"""Names of a run's own files, which no output may replace."""

from __future__ import annotations

import os
from pathlib import Path

from tpo.errors import StoreError
from tpo.store import lock, reader, runfile
from tpo.store.journal import JOURNAL
from tpo.store.shards import PARTS

NAMES = frozenset({runfile.NAME, runfile.BACKUP, reader.NAME, JOURNAL, PARTS, lock.NAME})


def refuse_own_file(path: Path) -> None:
    """Refuse to write an output to *path*, or to where it links, if a run has a file of its own there.

    Raises:
        StoreError: it has.
    """
    file = Path(os.path.realpath(path))
    if file.name in NAMES and any((file.parent / name).exists() for name in NAMES):
        raise StoreError(f"cannot write {path}: it is a file of the run in {file.parent}; name another file")
