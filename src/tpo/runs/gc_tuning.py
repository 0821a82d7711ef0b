"""Garbage collection during a run: rare, since a run creates hardly any reference cycles.

At a thousand calls in flight much is allocated before anything is freed again. By Python's own measure that
calls for a collection every 700 objects, and now and then for one of everything, which stops the loop for
90 ms each time: a third of all CPU of a call, to find about a hundred objects in 7,000 calls (seen by
``gc.callbacks`` around ``benchmarks.client_cost``).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 50_000
"""Objects more than were freed, after which the youngest are looked through."""


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Python's collector at *YOUNG* objects inside the block, and then as it was.

    Who has set it higher, or turned it off, keeps that. Blocks may overlap: the first one's end ends it.
    """
    before = gc.get_threshold()
    if not 0 < before[0] < YOUNG:
        yield
        return
    gc.set_threshold(YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
