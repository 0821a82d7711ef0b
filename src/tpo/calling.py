"""A user's own function, sync or async, as something to await."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

THREADS = 32
"""Most calls of one sync function at a time; the rest wait their turn."""


def awaitable(function: Callable[..., Any], threads: int = THREADS) -> Callable[..., Awaitable[Any]]:
    """*function* as a coroutine function that never blocks the loop.

    An async function is awaited where it stands. A sync one runs in one of at most *threads* worker threads
    of its own, with the caller's context variables; where it returns an awaitable, that is awaited too.
    """
    if _is_async(function):
        return function
    executor = ThreadPoolExecutor(threads, thread_name_prefix="tpo-function")

    async def call(*arguments: Any) -> Any:
        context = contextvars.copy_context()
        work = functools.partial(context.run, _without_stop_iteration, function, *arguments)
        result = await asyncio.get_running_loop().run_in_executor(executor, work)
        return await result if inspect.isawaitable(result) else result

    return call


def _is_async(function: Callable[..., Any]) -> bool:
    bare = inspect.unwrap(function)
    while isinstance(bare, functools.partial):
        bare = bare.func
    return inspect.iscoroutinefunction(bare) or inspect.iscoroutinefunction(getattr(bare, "__call__", None))  # noqa: B004 - an object's own async __call__


def _without_stop_iteration(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call *function*; a future cannot carry StopIteration (from a script that ran out), and would hang."""
    try:
        return function(*arguments)
    except StopIteration as error:
        raise RuntimeError("StopIteration: an iterator in it ran out") from error
