import asyncio
import contextvars
import functools
import threading

import pytest

from tpo.calling import awaitable


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
