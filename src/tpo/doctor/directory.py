"""Check of the run directory: write permission and free disk space."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tpo.doctor.finding import failure, good, warning
from tpo.doctor.setup import CheckState, Setup
from tpo.store.trajectory_line import encode_trajectory

CHECK = "directory"
MARGIN = 2.0
"""Factor on the estimated size of trajectories, for the journal and for variation."""


async def check_directory(setup: Setup, state: CheckState) -> None:
    """Check the disk that the run will write to, without writing."""
    out = setup.settings.out or Path("runs")
    there = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not there.is_dir():
        state.report(failure(CHECK, f"{there} is a file, not a directory", "choose another --out"))
        return
    if not os.access(there, os.W_OK | os.X_OK):
        state.report(failure(CHECK, f"no permission to write to {there}", "choose another --out"))
        return
    free, needed = shutil.disk_usage(there).free, _needed(setup, state)
    values = {"free_bytes": free, "needed_bytes": needed}
    if needed is not None and needed > free:
        sentence = f"the run may need {_size(needed)}, but {there} has {_size(free)} free"
        state.report(warning(CHECK, sentence, "free disk space, or choose --out on another disk", **values))
    else:
        needs = f"; the run may need {_size(needed)}" if needed is not None else ""
        state.report(good(CHECK, f"{there} is writable, with {_size(free)} free{needs}", **values))


def _needed(setup: Setup, state: CheckState) -> int | None:
    """Estimate the size of the run in bytes from the one optimized query."""
    if state.trajectory is None or state.queries is None:
        return None
    line = len(encode_trajectory(state.trajectory))
    iterations = max(1, setup.method.max_iterations)
    return int(line * iterations * state.queries * MARGIN)


def _size(count: int) -> str:
    """Return *count* bytes with a unit."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
