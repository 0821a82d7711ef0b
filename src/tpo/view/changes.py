"""Who is told when something has changed: one mark each that it has, however often, until it is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Changes:
    """Listeners to one stream of changes, which *version* counts."""

    def __init__(self) -> None:
        self.version = 0
        self.closed = False
        self._listeners: set[asyncio.Event] = set()

    def __len__(self) -> int:
        return len(self._listeners)

    def tell(self) -> None:
        """Something has changed."""
        self.version += 1
        for listener in self._listeners:
            listener.set()

    def close(self) -> None:
        """There will be no more; listeners wake a last time."""
        self.closed = True
        self.tell()

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever something has changed; the listener clears it."""
        listener = asyncio.Event()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
