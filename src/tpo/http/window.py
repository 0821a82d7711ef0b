"""How many requests a server is given at a time: learned from how it does, never guessed.

As TCP learns a line: more while it helps, quickly at first, then one at a time; a good deal less after a
"too many requests". A model server that is full often says nothing and lets requests queue. Then each takes
longer in proportion to how many there are, which is to say (Little's law) that more of them in flight bring
no more work a second: that is looked for, and the number goes back to where it last helped.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Self

from tpo.http.failures import HttpFailure
from tpo.http.patience import Timekeeper
from tpo.http.spread import BUSY

FIRST = 32
"""Requests at a time to begin with: one doubling from the default of ``--concurrency``."""
CUT = 0.7
"""What a refusal leaves of the window."""
RAISED = 1.25
"""How much more must have been in flight before its work is compared with what was done before."""
HELPED = 1.05
"""By how much the work a second must then have grown."""
SHORTEST_EPOCH = 8
"""Requests over which work is measured, at least."""
HELD_EPOCHS = 16
"""For how long a number that was too much is not tried again."""


@dataclass(slots=True)
class Pace:
    """The window's size and what it is learned from; time comes from outside.

    ``size`` is between 1 and *most*. Work is counted in whatever unit, the same for all requests.
    """

    most: int
    size: float = FIRST
    in_flight: int = 0
    _doubling: bool = True
    _cut_at: float = -1.0
    _ceiling: float = math.inf
    _held: int = 0
    """Epochs for which the ceiling still stands."""
    _epoch: _Epoch = field(default_factory=lambda: _Epoch(0.0))
    _before: tuple[float, float] | None = None
    """How much was in flight in an earlier epoch, and its work a second."""

    def __post_init__(self) -> None:
        self.size = min(self.size, self.most)

    @property
    def free(self) -> bool:
        """Whether another request may start."""
        return self.in_flight < int(self.size)

    def start(self, now: float) -> None:
        """A request starts."""
        if self.in_flight == 0 or self._epoch.count == 0:
            self._epoch.began = now if self.in_flight == 0 else self._epoch.began
        self.in_flight += 1

    def finish(self, now: float, work: float) -> None:
        """One was answered, which was *work*."""
        full = self.in_flight >= int(self.size)
        self._epoch.add(self.in_flight, work)
        self.in_flight -= 1
        if full:
            grown = self.size + (1.0 if self._doubling else 1.0 / self.size)
            self.size = max(self.size, min(self.most, self._ceiling, grown))
        if self._epoch.count >= max(SHORTEST_EPOCH, self._epoch.least):
            self._close(now)

    def refuse(self, now: float, started: float) -> None:
        """One that began at *started* was refused, the server being busy."""
        if started > self._cut_at:  # else it was under way when the window was cut already
            self._cut_at = now
            self._shrink(self.size * CUT, ceiling=self.in_flight - 1)
        self.in_flight -= 1

    def drop(self) -> None:
        """One ended in a way that says nothing about pace."""
        self.in_flight -= 1

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


class Window:
    """The requests of one event loop to one server, at most as many at a time as its pace allows.

    Further ones wait in the order in which they came.
    """

    def __init__(self, most: int, timekeeper: Timekeeper) -> None:
        self.pace = Pace(most)
        self.now = timekeeper.now
        self._waiting: deque[asyncio.Future[None]] = deque()

    def place(self) -> Place:
        """A place for one request; an :class:`HttpFailure` in it that says "busy" shrinks the window."""
        return Place(self)

    def leave(self, place: Place, failure: BaseException | None) -> None:
        """The request of *place* ended so; the next may have its place."""
        if failure is None:
            self.pace.finish(self.now(), place.work)
        elif isinstance(failure, HttpFailure) and failure.status in BUSY:
            self.pace.refuse(self.now(), place.started)
        else:
            self.pace.drop()
        self._admit()

    async def enter(self) -> None:
        """Return when another request may start, and is counted."""
        if self.pace.free and not self._waiting:
            self.pace.start(self.now())
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # admitted and cancelled in the same turn
                self.pace.drop()
                self._admit()
            raise

    def _admit(self) -> None:
        while self._waiting and self.pace.free:
            turn = self._waiting.popleft()
            if not turn.done():
                self.pace.start(self.now())
                turn.set_result(None)


@dataclass(slots=True)
class Place:
    """A request's place in *window*, while it is entered; its holder says how much ``work`` came of it."""

    window: Window
    work: float = 1.0
    started: float = 0.0

    async def __aenter__(self) -> Self:
        await self.window.enter()
        self.started = self.window.now()
        return self

    async def __aexit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        self.window.leave(self, failure)
