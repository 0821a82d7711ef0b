"""Cache of figures of runs in progress, which limits the CPU time that drawing takes.

A bootstrap over 100,000 queries takes seconds. So each drawing is followed by a pause in proportion to its
duration, during which the cached figures are served: the run itself needs the machine more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tpo.report.collector import figures_and_comparisons, run_figures
from tpo.report.line_figures import RunMeasures

MAX_RUNS_DRAWN = 8
"""Maximum runs in one figure: the number of colors."""

MIN_PAUSE = 2.0
"""Minimum pause between two drawings in seconds."""

PAUSE_FACTOR = 10
"""Length of a pause in multiples of the drawing's duration."""

MAX_CACHED = 16
"""Maximum selections of runs in the cache."""

Numbers = tuple[int, ...]
Snapshot = Callable[[Numbers], Awaitable[tuple[object, list[RunMeasures]]]]
"""Return the selected runs' measurements, and a value that differs when they change."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    mark: object
    record: dict[str, Any]
    until: float
    """Time from which the figures may be drawn again."""


@dataclass
class FigureCache:
    """Last figures of each selection of runs."""

    snapshot: Snapshot
    elapsed: Callable[[], float] = time.monotonic
    _drawn: dict[Numbers, _Drawn] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, numbers: Numbers) -> dict[str, Any]:
        """Return figures and comparisons of the runs *numbers*, with ``pause``: seconds until newer ones."""
        async with self._lock:
            drawn = self._drawn.pop(numbers, None)
            if drawn is None or self.elapsed() >= drawn.until:
                drawn = await self._draw(numbers, drawn)
            self._drawn[numbers] = drawn
            if len(self._drawn) > MAX_CACHED:
                del self._drawn[next(iter(self._drawn))]
        return drawn.record | {"pause": max(drawn.until - self.elapsed(), 0.0)}

    async def _draw(self, numbers: Numbers, last: _Drawn | None) -> _Drawn:
        mark, runs = await self.snapshot(numbers)
        if last is not None and last.mark == mark:
            return last
        began = self.elapsed()
        record = await asyncio.to_thread(
            lambda: figures_and_comparisons(runs, run_figures(runs, min_share=0.0))
        )
        ended = self.elapsed()
        return _Drawn(mark, record, ended + max(MIN_PAUSE, PAUSE_FACTOR * (ended - began)))
