"""A micro-batcher: single calls from anywhere go in, whole batches are computed, single results come out.

While one batch is being computed, calls collect; the next batch begins with the one that waits longest, and
keeps to a token budget. Threads compute, one unless several are asked for, and only while there is work.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tpo.errors import ConfigError, RewardError
from tpo.inprocess.batch_selection import next_batch
from tpo.inprocess.worker import Start, Worker, in_thread

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(eq=False, slots=True)
class _Job(Generic[Item, Result]):
    item: Item
    length: int
    future: Future[Result] = field(default_factory=Future)


Jobs = list[_Job[Item, Result]]
Choose = Callable[[Jobs[Item, Result], Callable[[_Job[Item, Result]], int], int], Jobs[Item, Result]]
"""Function that chooses the jobs of the next batch: see tpo.inprocess.batch_selection."""


class MicroBatcher(Generic[Item, Result]):
    """Computes items of all callers together; *compute* maps a batch to results in the same order.

    *length* is an item's number of tokens. *choose* decides what is computed next: by default those nearest
    in length to the one that waits longest, as many as fit *budget* when each is as long as the longest; an
    item larger than that goes alone. *workers* batches are computed side by side. A batch that fails is
    split in two until the failing items are found, so an item never fails for its neighbours; lack of memory
    is met in the same way. Callers may live in several event loops. A caller that is cancelled leaves the
    queue.

    Raises:
        ConfigError: the budget is below 1.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        length: Callable[[Item], int],
        budget: int,
        choose: Choose[Item, Result] = next_batch,
        workers: int = 1,
        start: Start = in_thread,
    ) -> None:
        if budget < 1:
            raise ConfigError(f"the token budget of a batch is {budget}; it must be at least 1")
        self._compute = compute
        self._length = length
        self._budget = budget
        self._choose = choose
        self._lock = threading.Lock()
        self._waiting: list[_Job[Item, Result]] = []
        self._closed = False
        self._workers = [Worker(self.step, start) for _ in range(workers)]

    async def submit(self, item: Item) -> Result:
        """The result for *item*, computed with whatever else waits.

        Raises:
            RewardError: the batcher is closed.
            Exception: whatever *compute* raised for this item alone.
        """
        job: _Job[Item, Result] = _Job(item, self._length(item))
        with self._lock:
            if self._closed:
                raise RewardError("the reward model is closed")
            self._waiting.append(job)
        next((one for one in self._workers if one.idle), self._workers[0]).wake()
        return await asyncio.wrap_future(job.future)

    def step(self) -> bool:
        """Compute one batch of what waits; False if nothing does."""
        jobs = self._take()
        wanted = [job for job in jobs if job.future.set_running_or_notify_cancel()]
        if wanted:
            self._answer(wanted)
        return bool(jobs)

    async def aclose(self) -> None:
        """Take nothing more, and wait for what is under way."""
        with self._lock:
            self._closed = True
        for worker in self._workers:
            await asyncio.to_thread(worker.join)

    def _take(self) -> list[_Job[Item, Result]]:
        with self._lock:
            jobs = self._choose(self._waiting, lambda job: job.length, self._budget)
            taken = set(jobs)
            self._waiting = [job for job in self._waiting if job not in taken]
            return jobs

    def _answer(self, jobs: list[_Job[Item, Result]]) -> None:
        try:
            results = self._compute([job.item for job in jobs])
            if len(results) != len(jobs):
                raise RewardError(f"a batch of {len(jobs)} got {len(results)} scores")
        except Exception as error:  # noqa: BLE001 - handed on to the callers
            if len(jobs) > 1 and not getattr(error, "fatal", False):
                self._answer(jobs[: len(jobs) // 2])
                self._answer(jobs[len(jobs) // 2 :])
                return
            for job in jobs:
                job.future.set_exception(error)
            return
        for job, result in zip(jobs, results, strict=True):
            job.future.set_result(result)
