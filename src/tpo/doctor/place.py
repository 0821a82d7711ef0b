"""The run's directory: can it be written, and is there room."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tpo.doctor.finding import failure, good, warning
from tpo.doctor.patient import Notes, Patient
from tpo.store.trajectory_line import encode_trajectory

CHECK = "directory"
SPARE = 2.0
"""Trajectories, and the journal of those under way, with room to breathe."""


async def check_place(patient: Patient, notes: Notes) -> None:
    """Look at the disk that the run will write to; nothing is made there."""
    out = patient.settings.out or Path("runs")
    there = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not there.is_dir():
        notes.tell(failure(CHECK, f"{there} is a file, where a directory is to be", "give another --out"))
        return
    if not os.access(there, os.W_OK | os.X_OK):
        notes.tell(failure(CHECK, f"{there} may not be written to", "give another --out"))
        return
    free, needed = shutil.disk_usage(there).free, _needed(patient, notes)
    values = {"free_bytes": free, "needed_bytes": needed}
    if needed is not None and needed > free:
        sentence = f"the run may need {_size(needed)}, and {there} has {_size(free)} left"
        notes.tell(warning(CHECK, sentence, "make room, or give --out on another disk", **values))
    else:
        wants = f", of which the run may need {_size(needed)}" if needed is not None else ""
        notes.tell(good(CHECK, f"{there} can be written to, with {_size(free)} free{wants}", **values))


def _needed(patient: Patient, notes: Notes) -> int | None:
    """Bytes, from what the one query takes."""
    if notes.trajectory is None or notes.queries is None:
        return None
    line = len(encode_trajectory(notes.trajectory))
    iterations = max(1, patient.recipe.max_iterations)
    return int(line * iterations * notes.queries * SPARE)


def _size(count: int) -> str:
    """Bytes in words."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
