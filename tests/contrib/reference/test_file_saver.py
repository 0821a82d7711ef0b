"""Files follow a run, never take much of its time, and always see its end."""

import asyncio
import threading

import pytest

from tests.export.trajectories import finished
from tpo.contrib.reference.file_saver import SECONDS, Saving
from tpo.errors import StoreError
from tpo.events import QueryEnded, RunStarted

ENDED = QueryEnded(finished())


class Pauses:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.go = asyncio.Event()
        self.waiting = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        self.waiting.set()
        await self.go.wait()
        self.go.clear()

    async def pass_by(self) -> None:
        """Let the present pause end, and wait for the next one."""
        await self.waiting.wait()
        self.waiting.clear()
        self.go.set()
        await self.waiting.wait()


async def test_nothing_is_written_before_a_query_has_ended_and_once_after() -> None:
    pauses, written = Pauses(), []
    async with Saving(lambda: written.append(1), pause=pauses) as saving:
        await pauses.pass_by()
        assert written == []
        saving(RunStarted(1, 0, 0))
        await pauses.pass_by()
        assert written == []
        saving(ENDED)
        await pauses.pass_by()
        assert written == [1]
        await pauses.pass_by()
        assert written == [1]
    assert written == [1, 1]


async def test_the_end_is_written_whatever_it_was() -> None:
    written: list[int] = []
    with pytest.raises(RuntimeError):
        async with Saving(lambda: written.append(1), pause=Pauses()):
            raise RuntimeError
    assert written == [1]


async def test_slow_writing_is_done_less_often() -> None:
    pauses, times = Pauses(), iter([0.0, 3.0])
    async with Saving(lambda: None, pause=pauses, clock=lambda: next(times)) as saving:
        saving(ENDED)
        await pauses.pass_by()
    assert pauses.asked == [SECONDS, pytest.approx(30.0)]


async def test_a_write_that_fails_on_the_way_is_tried_again_at_the_end() -> None:
    pauses, tries = Pauses(), []

    def write() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise StoreError("disk full")

    async with Saving(write, pause=pauses) as saving:
        saving(ENDED)
        await pauses.pass_by()
    assert len(tries) == 2


async def test_the_last_write_waits_for_one_under_way() -> None:
    pauses, release = Pauses(), threading.Event()
    order: list[str] = []
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def write() -> None:
        if not order:
            order.append("first begins")
            loop.call_soon_threadsafe(begun.set)
            release.wait(60)
            order.append("first ends")
        else:
            order.append("last")

    async with Saving(write, pause=pauses) as saving:
        saving(ENDED)
        await pauses.waiting.wait()
        pauses.go.set()
        await begun.wait()
        loop.call_soon(release.set)
    assert order == ["first begins", "first ends", "last"]
