"""Values bound to one event loop, for objects that outlive it: synchronous use starts a loop per call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One value for each running loop, made by *make* when that loop first asks; gone with its loop."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        # Not a dictionary of weak keys: such values know their loop, and would keep it alive for ever.
        self._values: dict[asyncio.AbstractEventLoop, T] = {}

    def get(self) -> T:
        """The running loop's value."""
        loop = asyncio.get_running_loop()
        if loop not in self._values:
            self._forget_closed()
            self._values[loop] = self._make()
        return self._values[loop]

    def pop(self) -> T | None:
        """The running loop's value if it has one, no longer kept."""
        return self._values.pop(asyncio.get_running_loop(), None)

    def _forget_closed(self) -> None:
        for loop in list(self._values):
            if loop.is_closed():
                self._values.pop(loop, None)
