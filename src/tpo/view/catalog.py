"""Catalog of the runs below a directory; each run keeps its number."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from tpo.errors import StoreError
from tpo.report.partial_run import JOURNAL, read_run_record
from tpo.report.prices import Prices
from tpo.store import reader, runfile
from tpo.store.shards import FOLDER, shard_directories
from tpo.view.live_run import Environment, LiveRun
from tpo.view.status import run_status

MAX_DEPTH = 3
"""Directory levels that are searched for runs."""

MAX_RUNS = 500
"""Maximum runs that are followed; further ones are only counted."""

SEARCH_INTERVAL = 2.0
"""Seconds between two searches for new runs."""

RUN_FILES = frozenset({runfile.NAME, reader.NAME, JOURNAL})
"""A directory with one of these files is a run, though perhaps a damaged one."""


@dataclass
class Catalog:
    """The run in the directory *root*, or all runs below it.

    Raises:
        StoreError: there is no such directory.
    """

    root: Path
    prices: Prices | None = None
    environment: Environment = field(default_factory=Environment)
    elapsed: Callable[[], float] = time.monotonic
    runs: list[LiveRun] = field(default_factory=list)
    left_out: int = 0
    """Number of runs beyond MAX_RUNS."""
    _searched: float | None = None

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            what = "is not a directory" if self.root.exists() else "no such directory"
            raise StoreError(f"{self.root}: {what}; name the directory of a run, or one that holds runs")

    def refresh(self) -> tuple[bool, bool]:
        """Refresh every run; return whether anything changed and whether more can be read now."""
        looks = [(self._search(), False), *(run.refresh() for run in self.runs)]
        return any(changed for changed, _ in looks), any(more for _, more in looks)

    def summary(self) -> dict[str, Any]:
        """Return the page's overview, except figures and comparisons."""
        return {
            "version": metadata.version("tpo"),
            "place": self.root.resolve().name or str(self.root),
            "runs": [run_status(run) for run in self.runs],
            "left_out": self.left_out,
        }

    def _search(self) -> bool:
        now = self.elapsed()
        if self._searched is not None and now - self._searched < SEARCH_INTERVAL:
            return False
        self._searched = now
        known = {run.path for run in self.runs}
        fresh = [path for path in _runs_in(self.root) if path not in known]
        room = MAX_RUNS - len(self.runs)
        changed = self.left_out != max(len(fresh) - room, 0)
        self.left_out = max(len(fresh) - room, 0)
        self._add(fresh[:room])
        return changed or bool(fresh[:room])

    def _add(self, paths: Sequence[Path]) -> None:
        """Add the runs at *paths* in the order of their start times."""
        for path in sorted(paths, key=lambda path: (_began(path), path)):
            number = len(self.runs)
            self.runs.append(
                LiveRun(path, self._name(path), number, prices=self.prices, environment=self.environment)
            )

    def _name(self, path: Path) -> str:
        return path.resolve().name if path == self.root else path.relative_to(self.root).as_posix()


def _began(path: Path) -> float:
    """Return the start time of the run at *path*; infinity if unknown."""
    record, _ = read_run_record(path)
    return math.inf if record is None or record.started is None else record.started


def _runs_in(root: Path) -> Iterator[Path]:
    """Yield run directories; shards are one run. Runs are not searched for runs, links are not followed."""
    level = [root]
    for depth in range(MAX_DEPTH + 1):
        below: list[Path] = []
        for path in sorted(level):
            files, folders = _entries(path)
            if RUN_FILES & files or (path / FOLDER in folders and _has_shards(path)):
                yield path
            elif depth < MAX_DEPTH:
                below += folders
        level = below


def _has_shards(path: Path) -> bool:
    try:
        return bool(shard_directories(path))
    except OSError:  # not readable now; other runs are
        return False


def _entries(path: Path) -> tuple[set[str], list[Path]]:
    """Return the file names and the folders that may contain runs."""
    files, folders = set(), []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    files.add(entry.name)
                elif not entry.name.startswith("."):
                    folders.append(path / entry.name)
    except OSError:
        pass  # removed meanwhile, or not readable
    return files, folders
