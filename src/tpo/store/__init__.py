"""Run directory: trajectories and the journal of calls, append-only and crash-safe."""

from tpo.store.directory import RunDirectory
from tpo.store.reader import read_trajectories
from tpo.store.repair import Repaired, repair
from tpo.store.resume import is_complete, recorded_ids
from tpo.store.runfile import RunRecord, read_run

__all__ = [
    "Repaired",
    "RunDirectory",
    "RunRecord",
    "is_complete",
    "read_run",
    "read_trajectories",
    "recorded_ids",
    "repair",
]
