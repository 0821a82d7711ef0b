"""Layout of a run in parts: run directories below ``shards``, read together until they are merged."""

from __future__ import annotations

from pathlib import Path

FOLDER = "shards"
"""Folder of the parts in the directory of the whole run."""

PARTS = "parts.jsonl"
"""Index of parts that are never joined; it marks a run of them, which has a record of its own."""

BLOCK = "block-"
"""Begin of the name of a part that is a block of queries of a run on Ray."""

_RECORD = "run.json"


def shard_directories(path: Path) -> tuple[Path, ...]:
    """Return the run directories in the folder of parts of *path*, by name."""
    try:
        return tuple(sorted(each for each in (path / FOLDER).iterdir() if (each / _RECORD).is_file()))
    except (FileNotFoundError, NotADirectoryError):  # there is none, or it was just removed
        return ()


def block_directories(path: Path) -> list[Path]:
    """Return the directories of blocks of the run at *path*, by name."""
    return sorted((path / FOLDER).glob(f"{BLOCK}*"))


def run_directories(path: Path) -> tuple[Path, ...]:
    """Return the directories that hold the run at *path*.

    These are *path* itself; its parts if it has no record; *path* and its parts if it has an index of them.
    """
    if (path / PARTS).exists():
        return (path, *shard_directories(path))
    if (path / _RECORD).exists():
        return (path,)
    return shard_directories(path) or (path,)
