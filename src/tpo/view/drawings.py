"""Figures of runs that grow, drawn again no more often than a fraction of one core can.

A bootstrap over 100,000 queries takes seconds. So each drawing is followed by a pause in proportion to the
time that it took, in which the last one is given out: the run that is looked at needs the machine more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tpo.report.curves import Measured
from tpo.report.gather import draw_figures, drawings

TOGETHER = 8
"""Runs that are drawn together: as many as there are colors."""

SHORTEST = 2.0
"""Seconds between two drawings at the least."""

SHARE = 10
"""A pause is so many times as long as the drawing took."""

KEPT = 16
"""Choices of runs whose drawings are kept."""

Numbers = tuple[int, ...]
Snapshot = Callable[[Numbers], Awaitable[tuple[object, list[Measured]]]]
"""Gives the runs of these numbers as they are, and a mark that differs once they do."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    mark: object
    record: dict[str, Any]
    until: float
    """When another may be drawn."""


@dataclass
class Drawings:
    """What was drawn last of each choice of runs."""

    snapshot: Snapshot
    elapsed: Callable[[], float] = time.monotonic
    _drawn: dict[Numbers, _Drawn] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, numbers: Numbers) -> dict[str, Any]:
        """Figures and comparisons of the runs *numbers*, with ``pause``: seconds until others can be had."""
        async with self._lock:
            drawn = self._drawn.pop(numbers, None)
            if drawn is None or self.elapsed() >= drawn.until:
                drawn = await self._draw(numbers, drawn)
            self._drawn[numbers] = drawn
            if len(self._drawn) > KEPT:
                del self._drawn[next(iter(self._drawn))]
        return drawn.record | {"pause": max(drawn.until - self.elapsed(), 0.0)}

    async def _draw(self, numbers: Numbers, last: _Drawn | None) -> _Drawn:
        mark, runs = await self.snapshot(numbers)
        if last is not None and last.mark == mark:
            return last
        began = self.elapsed()
        record = await asyncio.to_thread(lambda: drawings(runs, draw_figures(runs)))
        ended = self.elapsed()
        return _Drawn(mark, record, ended + max(SHORTEST, SHARE * (ended - began)))
