"""Layout of a run in parts: run directories below ``shards``, read together until they are merged."""

from __future__ import annotations

from pathlib import Path

FOLDER = "shards"
"""Folder of the parts in the directory of the whole run."""

_RECORD = "run.json"


def shard_directories(path: Path) -> tuple[Path, ...]:
    """Return the run directories in the folder of parts of *path*, by name."""
    folder = path / FOLDER
    if not folder.is_dir():
        return ()
    return tuple(sorted(each for each in folder.iterdir() if (each / _RECORD).is_file()))


def run_directories(path: Path) -> tuple[Path, ...]:
    """Return the directories that hold the run at *path*: *path* itself, or its parts if it has no record."""
    if (path / _RECORD).exists():
        return (path,)
    return shard_directories(path) or (path,)
