"""The time that runs are measured with."""

from __future__ import annotations

import time
from collections.abc import Callable


def steady_clock(
    wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> Callable[[], float]:
    """Return a clock of seconds since the epoch that no correction of the system's clock moves."""
    offset = wall() - monotonic()
    return lambda: offset + monotonic()
