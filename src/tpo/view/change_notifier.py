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
        self._listeners: dict[asyncio.Event, None] = {}

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

    def includes(self, listener: asyncio.Event) -> bool:
        """Return whether *listener* is still notified; a dismissed one is not."""
        return not self.closed and listener in self._listeners

    def dismiss_oldest(self) -> None:
        """Remove the listener that has listened longest; it wakes a last time."""
        oldest = next(iter(self._listeners))
        del self._listeners[oldest]
        oldest.set()

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Register a listener: yield an event that is set on each change. The listener clears it."""
        listener = asyncio.Event()
        self._listeners[listener] = None
        try:
            yield listener
        finally:
            self._listeners.pop(listener, None)
