import asyncio
import contextvars
import functools
import queue
import subprocess
import sys
import threading
from typing import Any

import pytest

from tpo import user_functions
from tpo.synchronous import run_blocking
from tpo.user_functions import awaitable


async def test_a_sync_function_does_not_block_the_loop() -> None:
    go = threading.Event()

    async def release() -> None:
        go.set()

    waited, _ = await asyncio.gather(awaitable(lambda: go.wait(60))(), release())
    assert waited


async def test_sync_calls_overlap_up_to_the_number_of_threads() -> None:
    both = threading.Barrier(2, timeout=60)
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
    never, timeout = threading.Event(), 2.0  # enough for a thread to start on a loaded machine
    call = awaitable(lambda what: never.wait(60) if what == "hang" else 7, threads=1, timeout=timeout)
    with pytest.raises(TimeoutError, match=r"no result within 2 s"):
        await call("hang")
    assert await call("work") == 7
    never.set()


async def test_an_async_call_that_hangs_fails_as_well() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match=r"no result within 0.05 s"):
        await awaitable(hang, timeout=0.05)()


async def test_time_counts_from_when_a_thread_takes_the_call() -> None:
    """Many calls, one after the other, which take longer together than the timeout of each."""
    never = threading.Event()
    call = awaitable(lambda: never.wait(0.2), threads=1, timeout=6.0)
    assert await asyncio.gather(*(call() for _ in range(36))) == [False] * 36


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
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)


class Client:
    """A client as many are: bound to the event loop of its first call."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    async def ask(self, text: str) -> str:
        self._loop = self._loop or asyncio.get_running_loop()
        if self._loop is not asyncio.get_running_loop():
            raise RuntimeError("Event loop is closed")
        return text.upper()


async def ask(function: Any) -> Any:
    return await function("hi")


def test_a_client_first_used_without_await_serves_awaits_too() -> None:
    function = awaitable(Client().ask)
    assert run_blocking(ask(function)) == "HI"
    assert asyncio.run(ask(function)) == "HI"
    assert asyncio.run(ask(function)) == "HI"
    assert run_blocking(ask(function)) == "HI"


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_client_first_awaited_says_clearly_that_it_serves_no_synchronous_call(is_wrapped: bool) -> None:
    client = Client()

    async def wrapped(text: str) -> str:
        try:
            return await client.ask(text)
        except RuntimeError as error:
            raise ConnectionError("connection error") from error

    function = awaitable(wrapped if is_wrapped else client.ask)
    assert asyncio.run(ask(function)) == "HI"
    with pytest.raises(RuntimeError, match=r"first used in another event loop .* call run\(\) before"):
        run_blocking(ask(function))


def test_an_async_function_without_a_client_serves_both_in_any_order() -> None:
    async def upper(text: str) -> str:
        return text.upper()

    function = awaitable(upper)
    assert asyncio.run(ask(function)) == run_blocking(ask(function)) == asyncio.run(ask(function)) == "HI"


def test_a_synchronous_call_within_one_does_not_wait_for_itself() -> None:
    async def upper(text: str) -> str:
        return text.upper()

    function = awaitable(upper)

    async def nested() -> Any:
        return await function("a"), run_blocking(ask(function))

    assert run_blocking(nested()) == ("A", "HI")


def test_a_forwarded_call_keeps_its_context_and_ends_when_cancelled() -> None:
    variable = contextvars.ContextVar("variable", default="outer")
    started, ended = threading.Event(), threading.Event()

    async def work(text: str) -> str:
        if text == "hi":
            return variable.get()
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    function = awaitable(work)
    assert run_blocking(ask(function)) == "outer"

    async def ask_to_wait() -> None:
        await function("wait")

    async def main() -> None:
        variable.set("inner")
        assert await function("hi") == "inner"
        task = asyncio.create_task(ask_to_wait())
        assert await asyncio.to_thread(started.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended.wait(60)


MANY_SHORT_CALLS = """
import asyncio, sys
from tpo.user_functions import awaitable

sys.setswitchinterval(1e-6)  # threads take jobs from each other
call = awaitable(lambda: None, threads=8)


async def calls():
    for _ in range(3000):
        await call()


async def main():
    await asyncio.gather(*(calls() for _ in range(6)))


asyncio.run(main())
"""


def test_threads_that_take_jobs_from_each_other_do_not_hang() -> None:
    subprocess.run([sys.executable, "-c", MANY_SHORT_CALLS], check=True, timeout=900)


def test_a_thread_does_not_wait_with_the_lock_for_a_job_that_another_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class JustTaken(queue.SimpleQueue[Any]):
        def empty(self) -> bool:
            return False

    monkeypatch.setattr(user_functions, "IDLE", 0.01)
    monkeypatch.setattr(queue, "SimpleQueue", JustTaken)
    workers = user_functions._Workers(1)
    thread = threading.Thread(target=workers._next, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
