"""A query starts when the server has room for its samples, and when it is one of the last."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.runs.models import RECIPE, by_id, opened, policy, queries, reward
from tpo.runs import run_queries
from tpo.runs.forecast import planned_calls
from tpo.runs.scheduler import Scheduler
from tpo.store import read_trajectories
from tpo.types import Completion, Messages, Query, Sampling, Scope, user


def few(count: int) -> Iterator[Query]:
    return (Query(f"q{number}", (user("hi"),)) for number in range(count))


class Held:
    """A policy whose samples are let go one by one."""

    def __init__(self) -> None:
        self.free = asyncio.Semaphore(0)
        self.callers: list[asyncio.Task[None]] = []

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        del messages, scope
        for index in range(sampling.n):
            await self.free.acquire()
            yield Completion(index, "x")


async def settle() -> None:
    for _ in range(9):
        await asyncio.sleep(0)


async def started(places: int, sequences: int, count: int) -> tuple[Held, list[str]]:
    """Places that each take a query and draw three samples; the ids of those that were taken."""
    held, taken = Held(), list[str]()
    scheduler = Scheduler(held, planned_calls(RECIPE), sequences, few(count), places)

    async def work() -> None:
        while (query := await scheduler.take()) is not None:
            taken.append(query.id)
            async for _ in scheduler.sample(query.messages, Sampling(n=3), Scope(query.id, 0, "sample")):
                pass
            scheduler.end(query.id)

    held.callers = [asyncio.create_task(work()) for _ in range(places)]
    await settle()
    return held, taken


async def test_queries_start_until_the_samples_in_flight_fill_the_server() -> None:
    _, taken = await started(places=8, sequences=4, count=20)
    assert taken == ["q0", "q1"]


async def test_a_finished_sample_makes_room_before_its_siblings_end() -> None:
    held, taken = await started(places=8, sequences=4, count=20)
    for _ in range(3):
        held.free.release()
    await settle()
    assert taken == ["q0", "q1", "q2"]


async def test_what_is_left_starts_at_once_when_it_fits() -> None:
    _, taken = await started(places=8, sequences=4, count=8)
    assert len(taken) == 8


async def test_no_more_queries_are_taken_from_the_data_than_there_are_places() -> None:
    read = 0

    def counting() -> Iterator[Query]:
        nonlocal read
        for query in few(1000):
            read += 1
            yield query

    scheduler = Scheduler(Held(), planned_calls(RECIPE), 1, counting(), 4)

    async def call() -> None:
        async for _ in scheduler.sample((user("hi"),), Sampling(), Scope("other", 0, "sample")):
            pass

    tasks = [asyncio.create_task(call()), asyncio.create_task(scheduler.take())]
    await settle()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert read == 4


@pytest.mark.parametrize("sequences", [1, 3, 7, 1000])
async def test_the_trajectories_are_the_same_whatever_the_bound(tmp_path: Path, sequences: int) -> None:
    async def ran(name: str, bound: int | None) -> dict[str, object]:
        async with opened(tmp_path / name) as directory:
            await run_queries(
                queries(9), policy(3), reward(3), RECIPE, directory, concurrency=6, sequences=bound
            )
        return dict(by_id(read_trajectories(tmp_path / name)))

    assert await ran("bound", sequences) == await ran("plain", None)
