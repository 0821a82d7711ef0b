"""Many queries with one optimizer, and one query as a stream; both for ``for`` and for ``async for``."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
)
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
        slots, room = asyncio.Semaphore(concurrency), asyncio.Semaphore(AHEAD * concurrency)
        under_way: asyncio.Queue[asyncio.Task[T] | None] = asyncio.Queue()
        started: set[asyncio.Task[T]] = set()

        async def one(item: Item) -> T:
            async with slots:
                return await work(item)

        async def take() -> None:
            # All in one task, since a source may hold a timeout or a context of its own.
            try:
                await room.acquire()
                async for item in _each(items):
                    task = asyncio.create_task(one(item))
                    started.add(task)
                    under_way.put_nowait(task)
                    await room.acquire()
            finally:
                under_way.put_nowait(None)

        taking = asyncio.create_task(take())
        try:
            while (task := await under_way.get()) is not None:
                result = await task
                started.discard(task)
                yield result
                room.release()
            await taking
        finally:
            for left in (taking, *started):
                left.cancel()
            await asyncio.gather(taking, *started, return_exceptions=True)

    return Iteration(generate)


async def _each(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
        return
    for item in items:
        yield item
        await asyncio.sleep(0)


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
