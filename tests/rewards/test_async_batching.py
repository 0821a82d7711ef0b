"""Calls meet in batches: which, how many at a time, and what becomes of those that fail or are given up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpo.errors import ConfigError
from tpo.rewards.async_batching import Gatherer


class Doubling:
    """Doubles numbers, remembers its batches, waits until it is let go, fails on what it was told to."""

    def __init__(self, *, held: bool = False, poison: frozenset[int] = frozenset()) -> None:
        self.batches: list[list[int]] = []
        self.cancelled = 0
        self.gate = asyncio.Event()
        self.poison = poison
        if not held:
            self.gate.set()

    async def __call__(self, batch: Sequence[int]) -> list[int]:
        self.batches.append(list(batch))
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.poison & set(batch):
            raise ValueError(f"cannot double {sorted(self.poison & set(batch))}")
        return [2 * number for number in batch]


async def turn(times: int = 5) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def test_what_is_submitted_together_makes_one_batch() -> None:
    doubling = Doubling()
    gatherer = Gatherer(doubling)
    assert await asyncio.gather(*(gatherer.submit(n) for n in range(5))) == [0, 2, 4, 6, 8]
    assert doubling.batches == [[0, 1, 2, 3, 4]]


async def test_calls_collect_while_all_batches_are_under_way() -> None:
    doubling = Doubling(held=True)
    gatherer = Gatherer(doubling, budget=2, in_flight=2)
    waiting = [asyncio.create_task(gatherer.submit(n)) for n in range(9)]
    await turn()
    assert doubling.batches == [[0, 1], [2, 3]]
    doubling.gate.set()
    assert await asyncio.gather(*waiting) == [2 * n for n in range(9)]
    assert all(len(batch) <= 2 for batch in doubling.batches)


async def test_only_the_failing_item_of_a_batch_fails() -> None:
    doubling = Doubling(poison=frozenset({3}))
    gatherer = Gatherer(doubling, part=lambda error: isinstance(error, ValueError))
    results = await asyncio.gather(*(gatherer.submit(n) for n in range(8)), return_exceptions=True)
    assert [r for r in results if isinstance(r, int)] == [0, 2, 4, 8, 10, 12, 14]
    assert str(results[3]) == "cannot double [3]"


async def test_a_batch_that_is_not_to_be_parted_fails_whole_after_one_call() -> None:
    doubling = Doubling(poison=frozenset({3}))
    gatherer = Gatherer(doubling)
    results = await asyncio.gather(*(gatherer.submit(n) for n in range(4)), return_exceptions=True)
    assert all(isinstance(result, ValueError) for result in results)
    assert len(doubling.batches) == 1


async def test_a_caller_that_gives_up_leaves_the_queue() -> None:
    doubling = Doubling(held=True)
    gatherer = Gatherer(doubling, in_flight=1)
    first, second, third = (asyncio.create_task(gatherer.submit(n)) for n in (1, 2, 3))
    await turn()
    later = asyncio.create_task(gatherer.submit(4))
    last = asyncio.create_task(gatherer.submit(5))
    await turn()
    later.cancel()
    doubling.gate.set()
    assert list(await asyncio.gather(first, second, third, last)) == [2, 4, 6, 10]
    assert doubling.batches == [[1, 2, 3], [5]]


async def test_a_batch_that_nobody_waits_for_is_cancelled() -> None:
    doubling = Doubling(held=True)
    gatherer = Gatherer(doubling, in_flight=1)
    waiting = [asyncio.create_task(gatherer.submit(n)) for n in (1, 2)]
    await turn()
    waiting[0].cancel()
    await turn()
    assert doubling.cancelled == 0
    waiting[1].cancel()
    await turn()
    assert doubling.cancelled == 1
    doubling.gate.set()
    assert await gatherer.submit(3) == 6


def test_one_gatherer_serves_one_loop_after_the_other() -> None:
    async def double(batch: Sequence[int]) -> list[int]:
        return [2 * number for number in batch]

    gatherer = Gatherer(double)
    assert [asyncio.run(gatherer.submit(n)) for n in (1, 2)] == [2, 4]


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 60), st.integers(1, 3))
def test_every_item_gets_its_own_result_within_the_budget(
    items: list[int], budget: int, in_flight: int
) -> None:
    async def scenario() -> None:
        doubling = Doubling()
        gatherer = Gatherer(doubling, length=lambda n: n, budget=budget, in_flight=in_flight)
        assert await asyncio.gather(*(gatherer.submit(n) for n in items)) == [2 * n for n in items]
        assert sorted(n for batch in doubling.batches for n in batch) == sorted(items)
        assert all(len(b) == 1 or len(b) * max(b) <= budget for b in doubling.batches)

    asyncio.run(scenario())


def test_bounds_below_one_are_refused() -> None:
    with pytest.raises(ConfigError):
        Gatherer(Doubling(), budget=0)
    with pytest.raises(ConfigError):
        Gatherer(Doubling(), in_flight=0)
