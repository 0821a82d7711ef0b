"""A micro-batcher for rewards that answer from elsewhere: calls meet in batches, several batches in flight.

Where :mod:`tpo.rewards.batching` gives one thread to one model of this process, here a batch is awaited: a
request to a server, or a user's own function. What makes a batch is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tpo.errors import ConfigError
from tpo.inprocess.batch_selection import next_batch
from tpo.per_loop import PerLoop

Item = TypeVar("Item")
Result = TypeVar("Result")
Compute = Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]


def _one(item: object) -> int:
    del item
    return 1


def _never(error: Exception) -> bool:
    del error
    return False


class Gatherer(Generic[Item, Result]):
    """Computes items of all callers together; *compute* maps a batch to results in the same order.

    What is submitted before the loop turns makes one batch; while *in_flight* batches are under way, calls
    collect. A batch's number of items times its longest stays within *budget*, *length* being an item's own;
    without it a batch holds at most *budget* items. A batch that fails with an error for which *part* is true
    is split in two until the failing items are found; any other failure is that of all its items.

    Callers may live in several event loops, which share nothing. A caller that is cancelled leaves the queue,
    and a batch that nobody waits for any longer is cancelled.

    Raises:
        ConfigError: a bound is below 1.
    """

    def __init__(
        self,
        compute: Compute[Item, Result],
        *,
        length: Callable[[Item], int] = _one,
        budget: int = 32,
        in_flight: int = 4,
        part: Callable[[Exception], bool] = _never,
    ) -> None:
        if budget < 1 or in_flight < 1:
            raise ConfigError(f"a batch holds at least 1 and 1 is in flight; not {budget} and {in_flight}")
        self._queues: PerLoop[_Queue[Item, Result]] = PerLoop(
            lambda: _Queue(compute, length, budget, in_flight, part)
        )

    async def submit(self, item: Item) -> Result:
        """The result for *item*, computed with whatever else waits.

        Raises:
            Exception: whatever *compute* raised.
        """
        return await self._queues.get().add(item)


@dataclass(eq=False, slots=True)
class _Job(Generic[Item, Result]):
    item: Item
    future: asyncio.Future[Result]
    length: int


@dataclass(eq=False)
class _Queue(Generic[Item, Result]):
    """Waiting items of one event loop."""

    compute: Compute[Item, Result]
    length: Callable[[Item], int]
    budget: int
    in_flight: int
    part: Callable[[Exception], bool]
    waiting: list[_Job[Item, Result]] = field(default_factory=list)
    batches: set[asyncio.Task[None]] = field(default_factory=set)

    def add(self, item: Item) -> asyncio.Future[Result]:
        loop = asyncio.get_running_loop()
        job: _Job[Item, Result] = _Job(item, loop.create_future(), self.length(item))
        self.waiting.append(job)
        loop.call_soon(self.fill)
        return job.future

    def fill(self) -> None:
        """Send off batches while there is something to send and room for it."""
        self.waiting = [job for job in self.waiting if not job.future.done()]
        while self.waiting and len(self.batches) < self.in_flight:
            jobs = next_batch(self.waiting, lambda job: job.length, self.budget)
            taken = set(jobs)
            self.waiting = [job for job in self.waiting if job not in taken]
            self.send_off(jobs)

    def send_off(self, jobs: list[_Job[Item, Result]]) -> None:
        batch = asyncio.create_task(self.answer(jobs))
        self.batches.add(batch)

        def abandoned(_: object) -> None:
            if all(job.future.cancelled() for job in jobs):
                batch.cancel()

        def ended(_: object) -> None:
            self.batches.discard(batch)
            for job in jobs:  # a loop at its end cancels batches before those that wait for them
                job.future.cancel()
            self.fill()

        for job in jobs:
            job.future.add_done_callback(abandoned)
        batch.add_done_callback(ended)

    async def answer(self, jobs: list[_Job[Item, Result]]) -> None:
        try:
            results = await self.compute([job.item for job in jobs])
            pairs = list(zip(jobs, results, strict=True))
        except Exception as error:  # noqa: BLE001 - handed on to the callers
            if len(jobs) > 1 and self.part(error):
                half = len(jobs) // 2
                await self.answer(jobs[:half])
                await self.answer(jobs[half:])
                return
            for job in jobs:
                if not job.future.done():
                    job.future.set_exception(error)
            return
        for job, result in pairs:
            if not job.future.done():
                job.future.set_result(result)
