"""Awaiting without await."""

import asyncio

from tpo.methods.synchronous import run_blocking


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


def test_it_runs_where_no_loop_is_running() -> None:
    assert run_blocking(answer()) == 42


async def test_it_runs_inside_a_running_loop() -> None:
    assert run_blocking(answer()) == 42
