"""A user's own function, sync or async, as something to await."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import os
import queue
import re
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from tpo.synchronous import in_background, is_in_background

THREADS = 32
"""Most calls of one sync function at a time; the rest wait their turn."""
IDLE = 10.0
"""Seconds after which a thread without work ends."""


_LOOP_WORDS = re.compile(r"event loop is closed|different (event )?loop", re.IGNORECASE)
_OTHER_LOOP = (
    "its asynchronous client was first used in another event loop ({}); call run() before the first await,"
    " use one of both alone, or make the client in the function"
)


def awaitable(
    function: Callable[..., Any], threads: int = THREADS, timeout: float | None = None
) -> Callable[..., Awaitable[Any]]:
    """Return *function* as a coroutine function that never blocks the loop.

    An async function is awaited where it stands; one that was first called on the background loop of
    synchronous use stays there, since its client may be bound to that loop. A sync one runs in one of at most
    *threads* worker threads of its own, with the caller's context variables; where it returns an awaitable,
    that is awaited too. A call that takes longer than *timeout* seconds, or whose caller is cancelled, is
    left alone: its thread counts no longer, and keeps no process from ending.

    A call raises a TimeoutError when it takes too long, and a RuntimeError where the function ends the
    program, lets a StopIteration escape or uses a client of another event loop; else what the function
    raises.
    """
    if is_async(function):
        return functools.partial(_awaited, _OnOneLoop(function), timeout)
    workers = _Workers(threads)

    async def call(*arguments: Any) -> Any:
        context = contextvars.copy_context()
        job = _Job(functools.partial(context.run, function, *arguments))
        workers.add(job)
        try:
            result = await _result(job, timeout)
        except BaseException:
            workers.abandon(job)
            raise
        return await _awaited(lambda: result, timeout) if inspect.isawaitable(result) else result

    return call


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether *function*, a partial of one or an object's call is a coroutine function."""
    bare = inspect.unwrap(function)
    while isinstance(bare, functools.partial):
        bare = bare.func
    return inspect.iscoroutinefunction(bare) or inspect.iscoroutinefunction(getattr(bare, "__call__", None))  # noqa: B004 - an object's own async __call__


class _OnOneLoop:
    """Calls an async *function* on the background loop, if its first call was made there."""

    def __init__(self, function: Callable[..., Awaitable[Any]]) -> None:
        self._function = function
        self._is_in_background: bool | None = None

    async def __call__(self, *arguments: Any) -> Any:
        if self._is_in_background is None:
            self._is_in_background = is_in_background()
        try:
            if self._is_in_background:
                return await in_background(functools.partial(self._call, arguments))
            return await self._function(*arguments)
        except Exception as error:
            if _is_of_another_loop(error):
                raise RuntimeError(_OTHER_LOOP.format(error)) from error
            raise

    async def _call(self, arguments: tuple[Any, ...]) -> Any:
        return await self._function(*arguments)


def _is_of_another_loop(error: BaseException | None) -> bool:
    """Return whether *error*, or what it was raised from, says that an object belongs to another loop."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        if isinstance(error, RuntimeError) and _LOOP_WORDS.search(str(error)):
            return True
        seen.append(error)
        error = error.__cause__ or error.__context__
    return False


async def _awaited(function: Callable[..., Awaitable[Any]], seconds: float | None, *arguments: Any) -> Any:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await function(*arguments)
    except TimeoutError as error:
        if limit.expired():
            raise _too_long(seconds) from error
        raise
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        raise RuntimeError("CancelledError: nothing has cancelled this call") from error
    except SystemExit as error:
        raise _ended(error) from error


def is_cancelled() -> bool:
    """Return whether the current task is being cancelled, so that a CancelledError is not somebody's own."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def _result(job: _Job, seconds: float | None) -> Any:
    """Return what *job* gives; its time counts from when a thread takes it."""
    done = asyncio.wrap_future(job.done)
    left = seconds
    while not (await asyncio.wait((done,), timeout=left))[0]:
        if seconds is not None and job.started is not None:
            left = job.started + seconds - time.monotonic()
            if left <= 0:
                raise _too_long(seconds)
    return done.result()


def _too_long(seconds: float | None) -> TimeoutError:
    return TimeoutError(f"no result within {seconds:g} s (--timeout waits longer)")


def _ended(error: BaseException) -> RuntimeError:
    return RuntimeError(f"{type(error).__name__}: it ends the program")


@dataclass(eq=False, slots=True)
class _Job:
    work: Callable[[], Any]
    done: Future[Any] = field(default_factory=Future)
    started: float | None = None
    abandoned: bool = False

    def run(self) -> None:
        try:
            result = self.work()
        except StopIteration as error:  # a future cannot carry it, and would hang
            self.done.set_exception(RuntimeError(f"StopIteration: an iterator in it ran out ({error})"))
        except Exception as error:  # noqa: BLE001 - handed on to the caller
            self.done.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - SystemExit, of this call alone
            self.done.set_exception(_ended(error))
        else:
            self.done.set_result(result)


_all_workers: weakref.WeakSet[_Workers] = weakref.WeakSet()


def _forget_all() -> None:
    for workers in list(_all_workers):
        workers.forget()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_all)


class _Workers:
    """Daemon threads for one function.

    Not concurrent.futures: its threads are joined when the process ends, and none that hangs is replaced.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.forget()
        _all_workers.add(self)

    def forget(self) -> None:
        """Start without threads and jobs, as after a fork, which no thread survives."""
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._threads = 0
        self._idle = 0

    def add(self, job: _Job) -> None:
        """Queue *job* for an idle thread, or for a new one."""
        with self._lock:
            self._jobs.put(job)
            if self._idle:
                self._idle -= 1  # reserved here: the thread itself wakes later
            else:
                self._start_thread()

    def abandon(self, job: _Job) -> None:
        """Free the place of *job*, which may have hung."""
        with self._lock:
            if job.abandoned or job.done.cancel() or job.done.done():
                return
            job.abandoned = True
            self._threads -= 1
            if not self._jobs.empty():
                self._start_thread()

    def _start_thread(self) -> None:
        if self._threads < self._most:
            self._threads += 1
            threading.Thread(target=self._work, name="tpo-function", daemon=True).start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if not job.done.set_running_or_notify_cancel():
                continue
            job.started = time.monotonic()
            job.run()
            with self._lock:
                if job.abandoned:
                    return

    def _next(self) -> _Job | None:
        """Return the next job; None once there was none for a while, which ends the thread.

        Never waits with the lock: a thread without it may take the job that was seen in the queue.
        """
        with self._lock:
            with contextlib.suppress(queue.Empty):
                return self._jobs.get_nowait()
            self._idle += 1
        with contextlib.suppress(queue.Empty):
            return self._jobs.get(timeout=IDLE)
        with self._lock:
            with contextlib.suppress(queue.Empty):
                return self._jobs.get_nowait()
            self._idle = max(0, self._idle - 1)
            self._threads -= 1
        return None
