"""One loop for all synchronous calls, wherever they come from."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from tpo.contrib.textgrad.background import Background
from tpo.errors import ConfigError


async def where() -> tuple[int, int]:
    return threading.get_ident(), id(asyncio.get_running_loop())


def test_calls_from_any_thread_and_from_a_running_loop_meet_in_one() -> None:
    background = Background()

    async def inside() -> tuple[int, int]:
        return background.run(where())

    with ThreadPoolExecutor(4) as pool:
        found = {*pool.map(lambda _: background.run(where()), range(8)), asyncio.run(inside())}
    background.close()
    assert len(found) == 1
    assert threading.get_ident() not in {thread for thread, _ in found}


def test_what_fails_is_raised_at_the_caller_and_the_loop_goes_on() -> None:
    async def fails() -> None:
        raise KeyError("x")

    background = Background()
    with pytest.raises(KeyError, match="x"):
        background.run(fails())
    assert background.run(where())
    background.close()


def test_a_call_from_inside_is_refused_and_does_not_wait_for_itself() -> None:
    background = Background()

    async def inside() -> None:
        background.run(where())

    with pytest.raises(ConfigError, match="may not call that engine itself"):
        background.run(inside())
    background.close()


def test_closing_twice_does_no_harm_and_a_further_call_starts_again() -> None:
    background = Background()
    background.run(where())
    background.close()
    background.close()
    assert background.run(where())[0] != threading.get_ident()
    background.close()


def test_closing_ends_what_is_under_way() -> None:
    background = Background()
    started = threading.Event()
    ended: list[str] = []

    async def waits() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(background.run, waits())
        assert started.wait(60)
        background.close()
        with pytest.raises(CancelledError):
            waiting.result(60)
    assert ended == ["ended"]
