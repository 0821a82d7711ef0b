"""An event loop whose time jumps to the next timer: hours of waiting pass in no time, always in one order."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

RESOLUTION = 1e-9
"""Seconds within which two timers are due together; above the rounding of times up to a day."""


class Standstill(RuntimeError):
    """Everything waits, and nothing is due: a deadlock, or a wait for the world outside."""


class _Jump(selectors.DefaultSelector):
    """Where an event loop would wait, its time is moved on."""

    def __init__(self, moved_on: Callable[[float], None]) -> None:
        super().__init__()
        self._moved_on = moved_on

    def select(self, timeout: float | None = None) -> list[Any]:
        ready: list[Any] = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Standstill("every task waits and no timer is set")
        self._moved_on(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop on a clock that starts at 0 and stands still while code runs.

    Work for a thread is done at once in this one, since other threads know nothing of this time: what a disk
    takes does not count.
    """

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Jump(self._move_on))
        self._clock_resolution = RESOLUTION

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # a future, not its supertype
        """The result of *func*, which has run when this returns."""
        del executor
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits
            done.set_exception(error)
        return done

    def _move_on(self, seconds: float) -> None:
        self._now += seconds


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """As :func:`asyncio.run`, in virtual time.

    Raises:
        Standstill: *main* waits for something that no timer brings.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
