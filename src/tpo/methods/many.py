"""Many queries with one optimizer, and one query as a stream; both for ``for`` and for ``async for``."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
)
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Generic, TypeVar

from tpo.errors import ConfigError, DataError
from tpo.events import Event, Listener
from tpo.synchronous import run_blocking
from tpo.types import Trajectory

T = TypeVar("T")
Item = TypeVar("Item")

AHEAD = 2
"""Queries that are started before the consumer takes their results, as a multiple of the concurrency."""


class Iteration(Generic[T]):
    """Iterable over what *generate* yields, from synchronous and from asynchronous code.

    Leaving the loop early cancels what is under way.
    """

    def __init__(self, generate: Callable[[], AsyncGenerator[T]]) -> None:
        self._generate = generate

    def __aiter__(self) -> AsyncIterator[T]:
        return self._generate()

    def __iter__(self) -> Iterator[T]:
        source = self._generate()

        async def following() -> list[T]:
            async for value in source:
                return [value]
            return []

        async def closed() -> None:
            await source.aclose()

        try:
            while found := run_blocking(following()):
                yield found[0]
        finally:
            run_blocking(closed())


def in_order(
    items: Iterable[Item] | AsyncIterable[Item],
    work: Callable[[Item], Coroutine[Any, Any, T]],
    concurrency: int,
) -> Iteration[T]:
    """Return the results of *work* on *items*, in their order, *concurrency* at a time.

    Items are taken as they are needed, so that there may be any number of them.

    Raises:
        ConfigError: *concurrency* is no integer of at least 1.
        DataError: *items* is a text or a mapping, or cannot be iterated over.
    """
    if not isinstance(concurrency, int) or concurrency < 1:
        raise ConfigError(f"concurrency is {concurrency!r}; it must be an integer of at least 1")
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable | AsyncIterable):
        raise DataError(f"map takes several queries, such as a list, not {items!r:.200}; run takes one query")

    async def generate() -> AsyncGenerator[T]:
        slots = asyncio.Semaphore(concurrency)
        under_way: deque[asyncio.Task[T]] = deque()
        source, at_end = _each(items), False
        taking: asyncio.Task[list[Item]] | None = None

        async def one(item: Item) -> T:
            async with slots:
                return await work(item)

        try:
            while True:
                if taking is None and not at_end and len(under_way) < AHEAD * concurrency:
                    taking = asyncio.create_task(_following(source))
                waiting: list[asyncio.Task[Any]] = [*under_way][:1] + ([taking] if taking else [])
                if not waiting:
                    return
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if taking is not None and taking.done():
                    taken, taking = taking.result(), None
                    at_end = not taken
                    under_way += [asyncio.create_task(one(item)) for item in taken]
                if under_way and under_way[0].done():
                    yield under_way.popleft().result()
        finally:
            left = [*under_way, *([taking] if taking else [])]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await source.aclose()

    return Iteration(generate)


async def _following(source: AsyncIterator[Item]) -> list[Item]:
    """Return the next item of *source*; nothing at its end."""
    async for item in source:
        return [item]
    return []


async def _each(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncGenerator[Item]:
    """Yield *items*; what is not in memory yet is taken in a thread, since it may take long to come."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    elif isinstance(items, Collection):
        for item in items:
            yield item
    else:
        source, loop = iter(items), asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="tpo-queries")
        try:
            while taken := await loop.run_in_executor(thread, lambda: list(islice(source, 1))):
                yield taken[0]
        finally:
            thread.shutdown(wait=False)


def events_of(work: Callable[[Listener], Coroutine[Any, Any, Trajectory]]) -> Iteration[Event | Trajectory]:
    """Return the events that *work* announces to the listener that it gets, then its trajectory."""

    async def generate() -> AsyncGenerator[Event | Trajectory]:
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        task = asyncio.create_task(work(events.put_nowait))
        task.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            yield await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return Iteration(generate)
