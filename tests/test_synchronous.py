"""Synchronous use: one background loop per process, interrupts, context variables, forks."""

from __future__ import annotations

import asyncio
import contextvars
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tpo.synchronous import run_blocking

PLACE: contextvars.ContextVar[str] = contextvars.ContextVar("PLACE", default="nowhere")


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


async def where() -> tuple[asyncio.AbstractEventLoop, str]:
    return asyncio.get_running_loop(), PLACE.get()


def test_it_runs_where_no_loop_is_running() -> None:
    assert run_blocking(answer()) == 42


async def test_it_runs_inside_a_running_loop() -> None:
    assert run_blocking(answer()) == 42


def test_all_calls_of_all_threads_run_on_one_loop() -> None:
    with ThreadPoolExecutor(8) as pool:
        loops = {loop for loop, _ in pool.map(lambda _: run_blocking(where()), range(16))}
    assert loops == {run_blocking(where())[0]}
    assert not loops.pop().is_closed()


def test_the_callers_context_variables_are_there() -> None:
    token = PLACE.set("here")
    try:
        assert run_blocking(where())[1] == "here"
    finally:
        PLACE.reset(token)


async def test_they_are_there_inside_a_running_loop_too() -> None:
    PLACE.set("in a loop")
    assert run_blocking(where())[1] == "in a loop"


def test_an_error_is_raised_as_it_is_a_timeout_too() -> None:
    async def fail() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        run_blocking(fail())


async def test_an_error_inside_a_running_loop_too() -> None:
    async def fail() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        run_blocking(fail())


def test_it_works_on_the_background_loop_itself() -> None:
    async def nested() -> int:
        return run_blocking(answer())

    assert run_blocking(nested()) == 42


class Interrupted:
    """A coroutine that has the process interrupted, and notes how it ends."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    async def hang(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.notes.append("cancelled")
            await asyncio.sleep(0)
            self.notes.append("cleaned up")
            raise


def test_an_interrupt_cancels_the_coroutine_and_waits_for_its_end() -> None:
    interrupted = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        run_blocking(interrupted.hang())
    assert interrupted.notes == ["cancelled", "cleaned up"]
    assert run_blocking(answer()) == 42


def test_an_interrupt_inside_a_running_loop_does_too() -> None:
    interrupted = Interrupted()

    async def main() -> None:
        run_blocking(interrupted.hang())

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert interrupted.notes == ["cancelled", "cleaned up"]


def printed(program: str) -> str:
    """What *program* prints in a process of its own; anything on its standard error fails the test."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


FUNCTIONS = """
    import multiprocessing
    from tpo import Optimizer

    def policy(messages, sampling):
        return "<improved_response>better</improved_response>" if "improved" in str(messages) else "draft"

    def reward(messages, response):
        return len(response)

    optimizer = Optimizer(policy, reward)

    def work(query):
        return optimizer.run(query).answer
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_that_start_after_first_use_work(method: str, tmp_path: Path) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    program = f"""{FUNCTIONS}
    if __name__ == "__main__":
        optimizer.run("first")
        with multiprocessing.get_context({method!r}).Pool(2) as pool:
            print(pool.map(work, ["a", "b", "c"]))
    """
    file = tmp_path / "program.py"
    file.write_text(textwrap.dedent(program))
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=300)
    assert (done.stdout.strip(), done.stderr) == ("['better', 'better', 'better']", "")


def test_a_fork_while_other_threads_work_does_not_hang() -> None:
    program = f"""{FUNCTIONS}
    import os, threading
    go = threading.Event()
    busy = threading.Event()

    def slow(messages, response):
        busy.set()
        go.wait(200)
        return 1.0

    thread = threading.Thread(target=Optimizer(policy, slow).run, args=("q",))
    thread.start()
    busy.wait(200)
    child = os.fork()
    if child == 0:
        os._exit(0 if optimizer.run("in the child").answer == "better" else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    go.set()
    thread.join()
    """
    assert printed(program) == "0"


def test_an_interpreter_that_ends_in_mid_call_says_nothing() -> None:
    program = """
    import asyncio, concurrent.futures, contextlib, threading
    from tpo import Optimizer
    started = threading.Event()

    async def policy(messages, sampling):
        started.set()
        await asyncio.Event().wait()

    def ask():
        with contextlib.suppress(concurrent.futures.CancelledError):
            Optimizer(policy, lambda *_: 1.0).run("q")

    threading.Thread(target=ask, daemon=True).start()
    started.wait(200)
    print("done")
    """
    assert printed(program) == "done"
