"""Plan of an experiment: its cells, their run directories, and the files of its results."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tpo.clock import SteadyClock
from tpo.config import Settings, reward_identity, weights_of
from tpo.errors import StoreError
from tpo.experiments.cells import Cell
from tpo.export.atomic_writer import replacing_text
from tpo.runs.plan import RunPlan
from tpo.store import read_trajectories
from tpo.store.journal import request_hash
from tpo.store.jsonline import plain
from tpo.store.lock import Lock
from tpo.store.reader import NAME as TRAJECTORIES
from tpo.types import Trajectory

RUNS = "runs"
PAGE = "report.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentPlan(ABC):
    """Settings, cells and output of an experiment; benchmarks and sweeps extend it.

    Attributes:
        settings: settings that all cells share.
        cells: the runs.
        out: directory of the results and of the runs.
        fresh: discard existing runs.
        page: write ``report.html`` of the runs.
        clock: seconds since the epoch.
    """

    settings: Settings
    cells: tuple[Cell, ...]
    out: Path
    fresh: bool = False
    page: bool = True
    clock: Callable[[], float] = field(default_factory=SteadyClock)

    def path(self, cell: Cell) -> Path:
        """Return the run directory of *cell*."""
        return self.out / RUNS / cell.folder

    def trajectories(self, cell: Cell) -> Iterator[Trajectory]:
        """Yield the trajectories of *cell*; none if its run has not started."""
        if (self.path(cell) / TRAJECTORIES).exists():
            yield from read_trajectories(self.path(cell))

    def finished_trajectories(self, cell: Cell) -> Iterator[Trajectory]:
        """Yield the finished trajectories of *cell*."""
        return (each for each in self.trajectories(cell) if each.status == "finished")

    @abstractmethod
    def run_plan(self, cell: Cell) -> RunPlan:
        """Return the run of *cell*."""

    @abstractmethod
    def check(self) -> None:
        """Raise, before any call, the errors that would otherwise occur at the end.

        Raises:
            ConfigError: an option is wrong.
            MissingExtra: a library is not installed.
        """

    def incomplete_cells(self) -> tuple[Cell, ...]:
        """Return the cells whose runs are not complete and therefore need models.

        Raises:
            StoreMismatch: a run directory holds a run of another configuration.
        """
        return tuple(cell for cell in self.cells if not self.run_plan(cell).is_complete())


def held_out_digest(settings: Settings, check_reward: str | None) -> str:
    """Return a digest of all that a held-out reward depends on, weights and options included."""
    own = replace(settings, reward=(check_reward,) if check_reward else ())
    weights = {key: value for key, value in weights_of(own).items() if "reward" in key}
    return request_hash(reward_identity(own), weights)


@contextmanager
def locked_directory(out: Path) -> Iterator[None]:
    """Lock the directory *out*, so that no two commands write results there at once.

    Raises:
        StoreBusy: another process holds the lock.
        StoreError: the directory cannot be used.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = Lock(out)
    except OSError as error:
        raise StoreError(f"cannot use {out}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def write_result_files(out: Path, name: str, record: Mapping[str, Any], *, markdown: str, latex: str) -> None:
    """Write ``NAME.md``, ``NAME.tex`` and last ``NAME.json``, each atomically, to *out*."""
    content = json.dumps(plain(record), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    for suffix, text in (("md", markdown), ("tex", latex), ("json", content)):
        with replacing_text(out / f"{name}.{suffix}") as file:
            file.write(text)
