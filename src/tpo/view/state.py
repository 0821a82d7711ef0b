"""Whether somebody works in a run, told from outside and without touching its lock.

Trying the lock, even for a moment, could turn away a run that starts just then. The lock's file names the
process; where that runs on another machine, or the files are a copy that is brought up to date, growth tells.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tpo.report.salvage import JOURNAL
from tpo.store import lock, reading, runfile
from tpo.store.runfile import RunRecord

State = Literal["working", "ended", "interrupted", "stopped", "unknown"]
"""Stopped: it has not ended, and nobody works in it. Unknown: nothing tells."""

RECENTLY = 30.0
"""Seconds for which a file that has changed is taken for a sign of work."""

Lives = Callable[[int], bool]
"""Whether a process of this number runs on this machine."""


def process_lives(number: int) -> bool:
    """Whether there is a process *number*, whoever's it is."""
    try:
        os.kill(number, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def state_of(path: Path, record: RunRecord | None, now: float, lives: Lives = process_lives) -> State:
    """The state of the run in the directory *path*, at *now* in seconds since the epoch."""
    if record is not None and record.ended is not None:
        return "interrupted" if record.invocations[-1].interrupted else "ended"
    if _held(path, lives) or _changed(path) > now - RECENTLY:
        return "working"
    return "unknown" if record is None else "stopped"


def _held(path: Path, lives: Lives) -> bool:
    holder = _holder(path / lock.NAME)
    return holder is not None and lives(holder)


def _holder(file: Path) -> int | None:
    """The process that *file* names."""
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
    """When one of the run's files last changed."""
    times = []
    for name in (reading.NAME, JOURNAL, runfile.NAME):
        try:
            times.append((path / name).stat().st_mtime)
        except OSError:
            continue
    return max(times, default=0.0)
