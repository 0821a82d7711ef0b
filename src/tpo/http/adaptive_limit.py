"""Adaptive concurrency limit (AIMD with slow start) for one server.

The limit grows while that helps, doubling at first, then by one per round trip; it is cut after a "too many
requests". A saturated model server often says nothing and lets requests queue. Then each takes longer in
proportion to how many there are, so that (Little's law) more requests in flight bring no more throughput:
throughput is measured, and the limit returns to where it last helped.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from typing import Self

from tpo.http.failures import BUSY, HttpFailure
from tpo.http.retry import Clock

INITIAL = 32
"""Requests in flight to begin with: one doubling from the default of ``--concurrency``."""
CUT = 0.7
"""Factor of the limit after a refusal."""
RAISED = 1.25
"""Factor by which requests in flight must have grown before their throughput is compared."""
HELPED = 1.05
"""Factor by which the throughput must then have grown."""
SHORTEST_EPOCH = 8
"""Requests over which throughput is measured, at least."""
HELD_EPOCHS = 16
"""Epochs for which a limit that was too much is not tried again."""


class AdaptiveLimit:
    """Bounds the requests in flight of one event loop to one server; further ones wait in order.

    ``size`` is the current limit, between 1 and *most*.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        self.size = float(min(INITIAL, most))
        self.in_flight = 0
        self._most = most
        self._clock = clock
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._doubling = True
        self._cut_at = -1.0
        self._ceiling = math.inf
        self._held = 0
        """Epochs for which the ceiling still stands."""
        self._epoch = _Epoch(0.0)
        self._before: tuple[float, float] | None = None
        """Requests in flight in an earlier epoch, and its throughput."""

    @property
    def is_open(self) -> bool:
        """Whether another request may start."""
        return self.in_flight < int(self.size)

    def now(self) -> float:
        """Return the clock's time."""
        return self._clock.now()

    def slot(self) -> Slot:
        """Return a slot for one request; an :class:`HttpFailure` in it that says "busy" lowers the limit."""
        return Slot(self)

    async def acquire(self) -> None:
        """Return when another request may start; it is then counted."""
        if self.is_open and not self._waiting:
            self._start()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # admitted and cancelled in the same turn
                self.in_flight -= 1
                self._admit()
            raise

    def release(self, slot: Slot, failure: BaseException | None) -> None:
        """End the request of *slot*; the next may start."""
        if failure is None and slot.work > 0:
            self._succeed(slot.work)
        elif isinstance(failure, HttpFailure) and failure.status in BUSY:
            self._refuse(slot.started)
        self.in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.is_open:
            turn = self._waiting.popleft()
            if not turn.done():
                self._start()
                turn.set_result(None)

    def _start(self) -> None:
        if self.in_flight == 0:
            self._epoch.began = self._clock.now()
        self.in_flight += 1

    def _succeed(self, work: float) -> None:
        self._epoch.add(self.in_flight, work)
        if self.in_flight >= int(self.size):
            grown = self.size + (1.0 if self._doubling else 1.0 / self.size)
            self.size = max(self.size, min(self._most, self._ceiling, grown))
        if self._epoch.count >= max(SHORTEST_EPOCH, self._epoch.least):
            self._close(self._clock.now())

    def _refuse(self, started: float) -> None:
        if started > self._cut_at:  # else it was under way when the limit was cut already
            self._cut_at = self._clock.now()
            self._shrink(self.size * CUT, ceiling=self.in_flight - 1)

    def _close(self, now: float) -> None:
        epoch, self._epoch = self._epoch, _Epoch(now, least=int(self.size))
        self._held -= 1
        if self._held <= 0:
            self._ceiling = math.inf
        if now <= epoch.began:
            return
        level, rate = epoch.level / epoch.count, epoch.work / (now - epoch.began)
        if self._before is None:
            self._before = level, rate
            return
        level_before, rate_before = self._before
        if level < RAISED * level_before:
            mean = (rate + rate_before) / 2 if level * RAISED > level_before else rate
            self._before = min(level, level_before), mean
        elif rate >= HELPED * rate_before:
            self._before = level, rate
        else:
            self._shrink(level_before, ceiling=level_before)

    def _shrink(self, size: float, ceiling: float) -> None:
        """Go down to *size*, and for a while no higher than *ceiling*."""
        self.size = max(1.0, min(self.size, size))
        self._ceiling, self._held = max(1.0, ceiling), HELD_EPOCHS
        self._doubling, self._before = False, None


@dataclass(slots=True)
class _Epoch:
    """Requests answered since ``began``; ``level`` adds up how many were in flight at each one's end."""

    began: float
    least: int = 0
    count: int = 0
    level: int = 0
    work: float = 0.0

    def add(self, in_flight: int, work: float) -> None:
        self.count += 1
        self.level += in_flight
        self.work += work


@dataclass(slots=True)
class Slot:
    """One request's slot in *limit* while it is entered; its holder says how much ``work`` came of it.

    Work of 0 says nothing about throughput, and the limit learns nothing.
    """

    limit: AdaptiveLimit
    work: float = 1.0
    started: float = 0.0

    async def __aenter__(self) -> Self:
        await self.limit.acquire()
        self.started = self.limit.now()
        return self

    async def __aexit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        self.limit.release(self, failure)
