import asyncio
import contextvars
import functools
import subprocess
import sys
import threading

import pytest

from tpo.user_functions import awaitable


async def test_a_sync_function_does_not_block_the_loop() -> None:
    go = threading.Event()

    async def release() -> None:
        go.set()

    waited, _ = await asyncio.gather(awaitable(lambda: go.wait(10))(), release())
    assert waited


async def test_sync_calls_overlap_up_to_the_number_of_threads() -> None:
    both = threading.Barrier(2, timeout=10)
    await asyncio.gather(*(awaitable_call() for awaitable_call in [awaitable(both.wait, threads=2)] * 2))


async def test_an_async_function_partial_or_object_stays_in_the_loop() -> None:
    async def thread(_: int) -> int:
        return threading.get_ident()

    class Object:
        async def __call__(self, _: int) -> int:
            return threading.get_ident()

    for function in (thread, functools.partial(thread), Object(), lambda x: thread(x)):
        assert await awaitable(function)(0) == threading.get_ident()


async def test_context_variables_reach_the_thread() -> None:
    variable = contextvars.ContextVar("variable", default="outer")
    variable.set("inner")
    assert await awaitable(variable.get)() == "inner"


async def test_an_iterator_that_ran_out_is_an_error_and_no_hang() -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await awaitable(lambda: next(iter(())))()


async def test_a_call_that_hangs_fails_and_another_takes_its_place() -> None:
    never, timeout = threading.Event(), 0.05
    call = awaitable(lambda what: never.wait(60) if what == "hang" else 7, threads=1, timeout=timeout)
    with pytest.raises(TimeoutError, match=r"no result within 0.05 s"):
        await call("hang")
    assert await call("work") == 7
    never.set()


async def test_an_async_call_that_hangs_fails_as_well() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match=r"no result within 0.05 s"):
        await awaitable(hang, timeout=0.05)()


async def test_time_counts_from_when_a_thread_takes_the_call() -> None:
    """Two calls of a little less than the timeout, one after the other."""
    waits = threading.Event()
    call = awaitable(lambda: waits.wait(0.3), threads=1, timeout=0.5)
    assert await asyncio.gather(*(call() for _ in range(3))) == [False] * 3


async def test_a_function_that_ends_the_program_fails_its_call_alone() -> None:
    async def leave() -> None:
        raise SystemExit(3)

    for function in (leave, lambda: sys.exit(3)):
        with pytest.raises(RuntimeError, match="SystemExit: it ends the program"):
            await awaitable(function)()


def test_a_call_that_hangs_keeps_no_process_from_ending() -> None:
    script = """
import asyncio, threading
from tpo.user_functions import awaitable

async def main():
    task = asyncio.ensure_future(awaitable(threading.Event().wait)())
    await asyncio.sleep(0)
    task.cancel()

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
