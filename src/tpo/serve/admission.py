"""Admission: how many requests run at a time, and how many wait for that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tpo.serve.api_error import ApiError, late
from tpo.serve.metrics import Metrics
from tpo.serve.request import Limits


class Admission:
    """Counts requests from their arrival, so that many at once do not pass the ceiling together."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._slots = asyncio.Semaphore(limits.running)
        self.waiting = 0
        self.running = 0

    def admit(self) -> Place:
        """Return a place, to be left in any case.

        Raises:
            ApiError: 429, too many requests wait.
        """
        if self.waiting + self.running >= self._limits.waiting + self._limits.running:
            raise ApiError(429, "too many requests are waiting; try again later", retry_after=5)
        return Place(self)

    def count(self, waiting: int, running: int) -> None:
        """Add to the numbers of requests that wait and run."""
        self.waiting += waiting
        self.running += running
        self._metrics.waiting.set(self.waiting)
        self._metrics.running.set(self.running)

    @asynccontextmanager
    async def slot(self, longest: float | None) -> AsyncIterator[None]:
        """Wait to run, *longest* seconds at most, and run while the block lasts.

        Raises:
            ApiError: 504, it would have waited longer.
        """
        try:
            async with asyncio.timeout(longest):
                await self._slots.acquire()
        except TimeoutError as error:
            raise late() from error
        try:
            yield
        finally:
            self._slots.release()


class Place:
    """The place of one request: it waits, then runs, then is left."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._waits = True
        admission.count(1, 0)

    @asynccontextmanager
    async def running(self, longest: float | None = None) -> AsyncIterator[None]:
        """Wait for one of the slots, *longest* seconds at most, and hold it while the block lasts.

        Raises:
            ApiError: 504, no slot was free in time.
        """
        try:
            async with self._admission.slot(longest):
                await self.leave()
                self._admission.count(0, 1)
                try:
                    yield
                finally:
                    self._admission.count(0, -1)
        finally:
            await self.leave()

    async def leave(self) -> None:
        """Stop waiting; a second call does nothing."""
        if self._waits:
            self._waits = False
            self._admission.count(-1, 0)
