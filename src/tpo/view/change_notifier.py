"""Notify listeners of changes. Changes that come before a listener wakes are merged into one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class ChangeNotifier:
    """Listeners of one stream of changes; *version* counts the changes."""

    def __init__(self) -> None:
        self.version = 0
        self.closed = False
        self._listeners: set[asyncio.Event] = set()

    def __len__(self) -> int:
        return len(self._listeners)

    def notify(self) -> None:
        """Report a change."""
        self.version += 1
        for listener in self._listeners:
            listener.set()

    def close(self) -> None:
        """End the stream; listeners wake a last time."""
        self.closed = True
        self.notify()

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Register a listener: yield an event that is set on each change. The listener clears it."""
        listener = asyncio.Event()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
