"""Files of a run in progress: rewritten while it works, and once at its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from tpo.errors import TpoError
from tpo.events import Event, QueryEnded

log = logging.getLogger(__name__)

SECONDS = 5.0
"""Between two writings."""

SHARE = 0.1
"""Of the time that writing may take: a file that is rewritten whole grows with the run."""


class Saving:
    """While the block lasts, calls *write* in a thread when queries have ended; at its end once more.

    *pause* and *clock* are for tests. A listener.
    """

    def __init__(
        self,
        write: Callable[[], None],
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._pause = pause
        self._clock = clock
        self._changed = False
        self._writing: asyncio.Future[None] | None = None

    def __call__(self, event: Event) -> None:
        """Note that a query has ended."""
        self._changed = self._changed or isinstance(event, QueryEnded)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        if self._writing is not None:  # an older state may not be put in place after the last one
            await asyncio.wait([self._writing])
        self._write()

    async def _follow(self) -> None:
        wait = SECONDS
        while True:
            await self._pause(wait)
            if self._changed:
                self._changed = False
                wait = max(SECONDS, await self._timed_write() / SHARE)

    async def _timed_write(self) -> float:
        """Seconds that writing took; a failure is told, and may pass before the end."""
        started = self._clock()
        self._writing = asyncio.ensure_future(asyncio.to_thread(self._write))
        try:
            await asyncio.shield(self._writing)
        except TpoError as error:
            log.warning("results could not be saved for now: %s", error)
        return self._clock() - started
