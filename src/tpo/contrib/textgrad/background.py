"""An event loop in a thread of its own, for synchronous callers in any thread, a running loop's included.

One loop for all calls, not one a call: connections, limits and the journal belong to a loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from tpo.errors import ConfigError

T = TypeVar("T")


class Background:
    """Starts with the first call; ends with :meth:`close` or with the program."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of *coroutine*; an interrupted caller (Ctrl-C) ends it.

        Raises:
            ConfigError: the caller stands in this very loop, and would wait for itself.
        """
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise ConfigError("a policy or a reward of a TextGrad engine may not call that engine itself")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._running())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop and its thread; a further call would start them again."""
        with self._starting:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                work = (self._loop,)
                self._thread = threading.Thread(target=_serve, args=work, name="tpo-textgrad", daemon=True)
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
