"""Virtual time."""

import asyncio

import pytest
from benchmarks.simulation.clock import Standstill, run_virtual


def test_hours_pass_in_order_and_at_once() -> None:
    async def main() -> tuple[list[str], float]:
        seen: list[str] = []

        async def wait(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            seen.append(name)

        await asyncio.gather(wait("late", 7200.0), wait("soon", 0.25), wait("next", 3600.0))
        return seen, asyncio.get_running_loop().time()

    seen, now = run_virtual(main())
    assert seen == ["soon", "next", "late"]
    assert now == pytest.approx(7200.0)


def test_work_for_a_thread_takes_no_time_and_hands_on_its_failure() -> None:
    def broken() -> None:
        raise OSError("disk full")

    async def main() -> float:
        assert await asyncio.to_thread(lambda: 5) == 5
        with pytest.raises(OSError, match="disk full"):
            await asyncio.to_thread(broken)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 0.0


def test_a_wait_that_nothing_ends_is_an_error_and_not_a_hang() -> None:
    with pytest.raises(Standstill, match="no timer"):
        run_virtual(asyncio.Event().wait())
