"""Folders that cost no trip to a disk, for tests that write and sync a lot."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - made below it are folders of random names
"""Linux keeps this one in memory; elsewhere the usual place has to do."""


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder of one's own while the block runs."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)
