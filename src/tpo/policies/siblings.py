"""The samples of one call, under way at once."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def as_finished(jobs: Iterable[Coroutine[Any, Any, T]]) -> AsyncIterator[T]:
    """The results of *jobs*, run together, each as soon as it is there.

    The first failure ends the others, and so does leaving the iteration early.
    """
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        for finished in asyncio.as_completed(tasks):
            yield await finished
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
