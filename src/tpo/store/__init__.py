"""A run's directory: trajectories and the journal of calls, append-only and crash-safe."""

from tpo.store.directory import RunDirectory
from tpo.store.reading import read_trajectories
from tpo.store.runfile import RunRecord, read_run

__all__ = ["RunDirectory", "RunRecord", "read_run", "read_trajectories"]
