"""The time that runs are measured with."""

from __future__ import annotations

import time
from collections.abc import Callable


class SteadyClock:
    """A clock of seconds since the epoch that no correction of the system's clock moves.

    In another process it begins anew, since a monotonic clock is of one machine.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def __call__(self) -> float:
        """Return the time."""
        return self._offset + self._monotonic()

    def __reduce__(self) -> tuple[type[SteadyClock], tuple[()]]:
        """Return how another process builds its own."""
        return SteadyClock, ()
