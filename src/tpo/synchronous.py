"""Synchronous use: coroutines run on one background event loop per process, for scripts and notebooks.

All synchronous callers share that loop, so clients keep their connections and what they learned about a
server between calls, and limits hold across threads.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_waiting: contextvars.ContextVar[asyncio.AbstractEventLoop | None] = contextvars.ContextVar(
    "waiting", default=None
)
"""The background loop, where it waits for what runs in this context."""

POLL = 0.1
"""Seconds between looks at whether the task that blocks its own loop was cancelled."""
LAST_WAIT = 5.0
"""Seconds for connections and tasks to close when the process ends."""


class _BackgroundLoop:
    """Event loop in a daemon thread; when it ends, its tasks are cancelled and its connections closed."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self.thread = threading.Thread(target=self._run, name="tpo-loop", daemon=True)
        self.thread.start()
        self._ready.wait()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self.loop = runner.get_loop()
            self._ended = asyncio.Event()
            self._ready.set()
            runner.run(self._until_ended())

    async def _until_ended(self) -> None:
        await self._ended.wait()

    def end(self) -> None:
        """Close the loop."""
        self.loop.call_soon_threadsafe(self._ended.set)
        self.thread.join(LAST_WAIT)


class _Process:
    """The background loop of this process, if it has one, and those that a fork left behind."""

    def __init__(self) -> None:
        self.background: _BackgroundLoop | None = None
        self._lock = threading.Lock()
        self._inherited: list[object] = []

    def get(self) -> _BackgroundLoop:
        """Return the loop, started at first use."""
        with self._lock:
            if self.background is None:
                self.background = _BackgroundLoop()
            return self.background

    def forget(self) -> None:
        """Start anew after a fork: threads do not survive it, and its lock may be held for ever."""
        # Kept, since closing the loop would change the parent's selector.
        self._inherited.append(self.background)
        self.background, self._lock = None, threading.Lock()

    def end(self) -> None:
        """Close the loop when the process ends."""
        if self.background is not None:
            self.background.end()


_process = _Process()
atexit.register(_process.end)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_process.forget)


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of *coroutine*, run on the background loop with the caller's context variables.

    Works in a thread with a running loop too, which it blocks. An interrupt, or the cancellation of the task
    that calls this, cancels the coroutine, waits until it has ended and is raised; a second interrupt does
    not wait.
    """
    background = _process.get()
    if threading.current_thread() is background.thread:  # called by a listener or an async function
        context = contextvars.copy_context()
        context.run(_waiting.set, background.loop)
        with ThreadPoolExecutor(1, thread_name_prefix="tpo") as pool:
            return pool.submit(context.run, asyncio.run, coroutine).result()
    cancelled_before = _cancellations()
    call = _Call(coroutine, background.loop)
    try:  # from here on, since an interrupt may come at any point
        background.loop.call_soon_threadsafe(call.start)
        while not wait([call.result], None if cancelled_before is None else POLL).done:
            # Ctrl-C in asyncio.run() first cancels the main task, which waits here and would not notice.
            if _cancellations() != cancelled_before:
                raise asyncio.CancelledError
        return call.result.result()
    except BaseException:
        if not call.result.done():
            background.loop.call_soon_threadsafe(call.cancel)
            wait([call.result])
        raise


def is_in_background() -> bool:
    """Return whether the running loop is the background loop."""
    background = _process.background
    return background is not None and background.loop is asyncio.get_running_loop()


async def in_background(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return the result of what *make* returns, run on the background loop while that serves calls.

    It runs where it stands if the caller is in that loop, or blocks it.
    """
    background = _process.background
    if background is None or is_in_background() or _waiting.get() is background.loop:
        return await make()
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(make(), background.loop))


class _Call(Generic[T]):
    """A coroutine on the loop of another thread."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> None:
        self.result: Future[T] = Future()
        self._coroutine = coroutine
        self._loop = loop
        self._task: asyncio.Task[T] | None = None

    def start(self) -> None:
        """Start it; its context variables are those of whoever scheduled this call."""
        self._task = self._loop.create_task(self._coroutine)
        self._task.add_done_callback(self._end)

    def cancel(self) -> None:
        """Cancel it, whether it has started or not."""
        if self._task is not None:
            self._task.cancel()
        else:
            self._coroutine.close()
            self._cancel_result()

    def _end(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self._cancel_result()
        elif error := task.exception():
            self.result.set_exception(error)
        else:
            self.result.set_result(task.result())

    def _cancel_result(self) -> None:
        self.result.cancel()
        self.result.set_running_or_notify_cancel()


def _cancellations() -> int | None:
    """Return how often the task was cancelled that runs in this thread; None if there is none."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    return None if task is None else task.cancelling()


async def run_in_background(make: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run what *make* returns on the background loop, if there is one and the caller is not in it."""
    if _process.background is not None and not is_in_background():
        await in_background(make)
