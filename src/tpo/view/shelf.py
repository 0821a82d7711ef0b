"""The runs of a directory, found as they appear, each under a number that it keeps."""

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
from tpo.report.prices import Prices
from tpo.report.salvage import JOURNAL, read_record
from tpo.store import reading, runfile
from tpo.view.telling import run_overview
from tpo.view.watched import Clocks, Watched

DEPTH = 3
"""Levels beneath the directory in which runs are looked for."""

MOST = 500
"""Runs that are followed; further ones are told, not shown."""

EVERY = 2.0
"""Seconds between two searches for new runs."""

SIGNS = frozenset({runfile.NAME, reading.NAME, JOURNAL})
"""Whatever holds one of these is a run, though perhaps a broken one."""


@dataclass
class Shelf:
    """The run in the directory *root*, or all runs beneath it.

    Raises:
        StoreError: there is no such directory.
    """

    root: Path
    prices: Prices | None = None
    clocks: Clocks = field(default_factory=Clocks)
    elapsed: Callable[[], float] = time.monotonic
    runs: list[Watched] = field(default_factory=list)
    left_out: int = 0
    """Runs beyond MOST."""
    _searched: float | None = None

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            what = "is not a directory" if self.root.exists() else "no such directory"
            raise StoreError(f"{self.root}: {what}; name the directory of a run, or one that holds runs")

    def look(self) -> tuple[bool, bool]:
        """See what is new in every run; whether anything is, and whether there is more to read at once."""
        looks = [(self._search(), False), *(run.look() for run in self.runs)]
        return any(changed for changed, _ in looks), any(more for _, more in looks)

    def summary(self) -> dict[str, Any]:
        """Everything that the page's overview shows, but figures and comparisons."""
        return {
            "version": metadata.version("tpo"),
            "place": self.root.resolve().name or str(self.root),
            "runs": [run_overview(run) for run in self.runs],
            "left_out": self.left_out,
        }

    def _search(self) -> bool:
        now = self.elapsed()
        if self._searched is not None and now - self._searched < EVERY:
            return False
        self._searched = now
        known = {run.path for run in self.runs}
        fresh = [path for path in _runs_in(self.root) if path not in known]
        room = MOST - len(self.runs)
        changed = self.left_out != max(len(fresh) - room, 0)
        self.left_out = max(len(fresh) - room, 0)
        self._add(fresh[:room])
        return changed or bool(fresh[:room])

    def _add(self, paths: Sequence[Path]) -> None:
        """Put the runs at *paths* on the shelf, those that began first before the others."""
        for path in sorted(paths, key=lambda path: (_began(path), path)):
            number = len(self.runs)
            self.runs.append(Watched(path, self._name(path), number, prices=self.prices, clocks=self.clocks))

    def _name(self, path: Path) -> str:
        return path.resolve().name if path == self.root else path.relative_to(self.root).as_posix()


def _began(path: Path) -> float:
    """When the run at *path* first began; unknown ones come last."""
    record, _ = read_record(path)
    return math.inf if record is None or record.started is None else record.started


def _runs_in(root: Path) -> Iterator[Path]:
    """Directories with signs of a run; within a run none is looked for, and no link is followed."""
    level = [root]
    for depth in range(DEPTH + 1):
        below: list[Path] = []
        for path in sorted(level):
            files, folders = _entries(path)
            if SIGNS & files:
                yield path
            elif depth < DEPTH:
                below += folders
        level = below


def _entries(path: Path) -> tuple[set[str], list[Path]]:
    """Names of files, and folders that may hold runs."""
    files, folders = set(), []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    files.add(entry.name)
                elif not entry.name.startswith("."):
                    folders.append(path / entry.name)
    except OSError:
        pass  # removed while it was looked for, or not ours to read
    return files, folders
