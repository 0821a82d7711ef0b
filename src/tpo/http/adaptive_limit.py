"""Adaptive concurrency limit (AIMD with slow start) for one server.

The limit grows while that helps: it doubles in a round trip, or grows by a sixteenth near a limit that was
too much before. Two signs make it shrink.

**Refusals** ("too many requests"). A few of them say nothing: gateways refuse at random. A larger share cuts
the limit, once per round trip; where a cut has not helped, only a much larger one does so again. The limit
then returns to just below where it was cut. A cut at about the same limit as the last one, with good replies
in between, confirms that limit: it is held twice as long before more is tried.

**Throughput.** A saturated model server often refuses nothing and lets requests queue. Then each takes longer
in proportion to how many there are, so that (Little's law) more requests in flight bring no more throughput:
throughput is measured, and the limit returns to where it last helped.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tpo.http.failures import BUSY, HttpFailure
from tpo.http.retry import Clock

INITIAL = 32
"""Requests in flight to begin with: one doubling from the default of ``--concurrency``."""
TOLERATED = 0.1
"""Share of a round trip's replies that may be refusals."""
TOLERATED_UNHELPED = 0.3
"""The same after a cut that has not helped, as when a gateway refuses at random."""
SHORTEST_TRIP = 20
"""Replies over which refusals are counted, at least."""
CUT = 0.7
"""Factor of the limit after too many refusals."""
STEP = 1 / 16
"""Share by which the limit grows in a round trip once it does not double; at least one request."""
PASSED, PASSED_BY = 1.5, 4
"""Factor and requests above a confirmed limit from which it is taken for lifted."""
SAME = 0.25
"""Relative difference of two limits that count as the same."""
CLEAN = 32
"""Good replies in a row that show that a cut has helped; rare where 15 % are refused at random (0.6 %)."""
FIRST_HOLD, LONGEST_HOLD = 4, 64
"""Round trips for which a limit at which the server refused is not tried again."""
RAISED = 1.25
"""Factor by which requests in flight must have grown before their throughput is compared."""
HELPED = 1.05
"""Factor by which the throughput must then have grown."""
DOUBTS = 2
"""Epochs in which it did not, since replies that come in bunches make one of them vary."""
SHORTEST_EPOCH = 8
"""Requests over which throughput is measured, at least."""
SATURATED_HOLD = 16
"""Round trips for which a limit that brought no more throughput is not tried again."""


class AdaptiveLimit:
    """Bounds the requests in flight of one event loop to one server; further ones wait in order.

    ``size`` is the current limit, between 1 and *most*; *on_change* receives it, in whole requests.
    """

    def __init__(self, most: int, clock: Clock, on_change: Callable[[int], None] | None = None) -> None:
        self.size = float(min(INITIAL, most))
        self.in_flight = 0
        self._most = most
        self._clock = clock
        self._on_change = on_change
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ceiling = math.inf
        self._held = 0
        """Good replies for which the ceiling still stands."""
        self._careful = (math.inf, math.inf)
        """Limits between which growth is slow; elsewhere it doubles."""
        self._refusals = _Refusals()
        self._throughput = _Throughput()

    @property
    def is_open(self) -> bool:
        """Return whether another request may start."""
        return self.in_flight < int(self.size)

    def now(self) -> float:
        """Return the clock's time."""
        return self._clock.now()

    def slot(self) -> Slot:
        """Return a slot for one request; a failure in it that says "busy" counts as a refusal."""
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
                self._end()
            raise

    def release(self, slot: Slot, failure: BaseException | None) -> None:
        """End the request of *slot*; the next may start."""
        if failure is None and slot.work > 0:
            self._succeed(slot)
        elif isinstance(failure, HttpFailure) and failure.status in BUSY:
            self._refuse(slot)
        self._end()

    def _start(self) -> None:
        if self.in_flight == 0:
            self._throughput.resume(self.now())
        self.in_flight += 1

    def _end(self) -> None:
        self.in_flight -= 1
        if self.in_flight == 0:
            self._throughput.pause(self.now())
        while self._waiting and self.is_open:
            turn = self._waiting.popleft()
            if not turn.done():
                self._start()
                turn.set_result(None)

    def _succeed(self, slot: Slot) -> None:
        self._refusals.count_answer(self.size)
        self._held -= 1
        if self._held <= 0:
            self._ceiling = math.inf
        if self.in_flight >= int(self.size):
            low, high = self._careful
            grown = self.size + (max(1.0 / self.size, STEP) if low <= self.size < high else 1.0)
            self._resize(max(self.size, min(self._most, self._ceiling, grown)))
        best = self._throughput.add(self.in_flight, slot.work, self.now(), int(self.size))
        if best is not None:
            self._shrink(best, ceiling=best, hold=SATURATED_HOLD * max(best, SHORTEST_EPOCH))
            self._careful = self._ceiling, math.inf

    def _refuse(self, slot: Slot) -> None:
        hold = self._refusals.count_refusal(slot.started, self.now(), self.size)
        if hold:
            trip = max(self.size * CUT, CLEAN / 3)  # so that it can be seen whether the cut has helped
            self._shrink(self.size * CUT, ceiling=int(self.size) - 1, hold=hold * trip)
            is_confirmed = hold > FIRST_HOLD
            lifted = max(PASSED * self._ceiling, self._ceiling + PASSED_BY)
            self._careful = (self._ceiling, lifted) if is_confirmed else (math.inf, math.inf)

    def _resize(self, size: float) -> None:
        before, self.size = int(self.size), size
        if self._on_change is not None and int(size) != before:
            self._on_change(int(size))

    def _shrink(self, size: float, ceiling: float, hold: float) -> None:
        """Go down to *size*, and for *hold* good replies no higher than *ceiling*."""
        self._resize(max(1.0, min(self.size, size)))
        self._ceiling = max(1.0, ceiling)
        self._held = math.ceil(hold)
        self._throughput.forget()


@dataclass(slots=True)
class _Refusals:
    """Counts refusals and good replies of a round trip, and remembers where the limit was cut last."""

    _refused: int = 0
    _answered: int = 0
    _in_a_row: int = 0
    _has_helped: bool = True
    """True if good replies followed the last cut."""
    _cut_at: float = -math.inf
    _cut_size: float = 0.0
    _hold: int = FIRST_HOLD

    def count_answer(self, size: float) -> None:
        self._answered += 1
        self._in_a_row += 1
        self._has_helped = self._has_helped or self._in_a_row >= CLEAN
        if self._refused + self._answered >= max(size, SHORTEST_TRIP):
            self._refused = self._answered = 0

    def count_refusal(self, started: float, now: float, size: float) -> int:
        """Return the round trips for which *size* is too much; 0 where it need not be cut."""
        if started <= self._cut_at:
            return 0  # it was in flight when the limit was cut
        self._refused += 1
        self._in_a_row = 0
        tolerated = TOLERATED if self._has_helped else TOLERATED_UNHELPED
        if self._refused <= tolerated * max(size, SHORTEST_TRIP):
            return 0
        is_confirmed = self._has_helped and abs(size - self._cut_size) <= SAME * self._cut_size
        self._hold = min(2 * self._hold, LONGEST_HOLD) if is_confirmed else FIRST_HOLD
        self._cut_at, self._cut_size, self._has_helped = now, size, False
        self._refused = self._answered = 0
        return self._hold


@dataclass(slots=True)
class _Throughput:
    """Compares throughput between epochs of about a round trip, by the requests in flight."""

    _began: float = 0.0
    _paused_at: float = 0.0
    _least: int = SHORTEST_EPOCH
    _count: int = 0
    _level: int = 0
    """Requests in flight, added up over the epoch's replies."""
    _work: float = 0.0
    _before: tuple[float, float] | None = None
    """Requests in flight in an earlier epoch, and its throughput."""
    _doubts: int = 0

    def pause(self, now: float) -> None:
        self._paused_at = now

    def resume(self, now: float) -> None:
        self._began += now - self._paused_at  # time without requests does not count

    def forget(self) -> None:
        self._before, self._doubts = None, 0

    def add(self, in_flight: int, work: float, now: float, size: int) -> float | None:
        """Count a reply; return how many in flight brought as much, if the present ones are too many."""
        self._count += 1
        self._level += in_flight
        self._work += work
        if self._count < self._least:
            return None
        level, seconds = self._level / self._count, now - self._began
        rate = self._work / seconds if seconds > 0 else 0.0
        self._began, self._count, self._level, self._work = now, 0, 0, 0.0
        self._least = max(SHORTEST_EPOCH, size)
        return self._compare(level, rate) if rate else None

    def _compare(self, level: float, rate: float) -> float | None:
        if self._before is None:
            self._before = level, rate
            return None
        level_before, rate_before = self._before
        if level < RAISED * level_before:
            mean = (rate + rate_before) / 2 if level * RAISED > level_before else rate
            self._before = min(level, level_before), mean
        elif rate >= HELPED * rate_before:
            self._before, self._doubts = (level, rate), 0
        else:
            self._doubts += 1
            return level_before if self._doubts >= DOUBTS else None
        return None


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
