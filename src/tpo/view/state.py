"""State of a run (working, ended, ...) as seen from outside, without touching its lock.

Taking the lock, even briefly, could turn away a run that starts at that moment. The lock file names the
process. For a process on another machine, or a synchronized copy, growth of the files shows the state.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tpo.report.partial_run import JOURNAL
from tpo.store import lock, reader, runfile
from tpo.store.runfile import RunRecord
from tpo.store.shards import run_directories

State = Literal["working", "ended", "interrupted", "stopped", "unknown"]
"""``stopped``: not ended, and no process works in it. ``unknown``: there is no evidence."""

RECENT_SECONDS = 30.0
"""Seconds for which a changed file counts as activity."""

IsAlive = Callable[[int], bool]
"""Return whether a process with this id runs on this machine."""


def process_is_alive(number: int) -> bool:
    """Return whether a process *number* exists, of any user."""
    try:
        os.kill(number, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def state_of(path: Path, record: RunRecord | None, now: float, is_alive: IsAlive = process_is_alive) -> State:
    """Return the state of the run in *path* at *now* (seconds since the epoch)."""
    if record is not None and record.ended is not None:
        return "interrupted" if record.invocations[-1].interrupted else "ended"
    parts = run_directories(path)
    if any(_held(each, is_alive) or _changed(each) > now - RECENT_SECONDS for each in parts):
        return "working"
    return "unknown" if record is None else "stopped"


def _held(path: Path, is_alive: IsAlive) -> bool:
    holder = _holder(path / lock.NAME)
    return holder is not None and is_alive(holder)


def _holder(file: Path) -> int | None:
    """Return the process id in *file*, if it is a lock file."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        found = re.fullmatch(rb"([1-9]\d{0,9})\n", os.pread(descriptor, 16, 0))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return int(found[1]) if found else None


def _changed(path: Path) -> float:
    """Return the latest modification time of the run's files."""
    times = []
    for name in (reader.NAME, JOURNAL, runfile.NAME):
        try:
            times.append((path / name).stat().st_mtime)
        except OSError:
            continue
    return max(times, default=0.0)
