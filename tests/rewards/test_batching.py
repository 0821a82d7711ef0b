"""The micro-batcher: what waits is computed together, within the budget, and fails alone."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from tpo.errors import ConfigError, RewardError, RewardRefused
from tpo.rewards.batching import MicroBatcher


class Bench:
    """A computation that keeps its batches, and a worker that runs when the test says so."""

    def __init__(self, budget: int = 100, most: int = 10**9) -> None:
        self.batches: list[list[str]] = []
        self.bodies: list[Callable[[], None]] = []
        self.most = most
        self.batcher = MicroBatcher(self.compute, length=len, budget=budget, start=self.bodies.append)

    def compute(self, batch: Sequence[str]) -> list[int]:
        self.batches.append(list(batch))
        if len(batch) > self.most:
            raise MemoryError
        if "fatal" in batch:
            raise RewardRefused("the model is gone")
        if "bad" in batch:
            raise ValueError("bad")
        return [len(item) for item in batch]

    async def answers(self, *items: str) -> list[int | BaseException]:
        calls = asyncio.gather(*map(self.batcher.submit, items), return_exceptions=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        while self.bodies:
            self.bodies.pop()()
        return await calls


async def test_what_waits_is_computed_together_and_each_gets_its_own() -> None:
    bench = Bench()
    assert await bench.answers("aaa", "b", "cc") == [3, 1, 2]
    assert [sorted(batch) for batch in bench.batches] == [["aaa", "b", "cc"]]


async def test_batches_keep_to_the_budget_sorted_by_length() -> None:
    bench = Bench(budget=8)
    await bench.answers("aaaa", "b", "cccc", "d")
    assert bench.batches == [["aaaa", "cccc"], ["b", "d"]]


async def test_an_item_larger_than_the_budget_goes_alone() -> None:
    bench = Bench(budget=2)
    assert await bench.answers("aaaa", "b", "c") == [4, 1, 1]
    assert bench.batches == [["aaaa"], ["b", "c"]]


async def test_a_failing_item_fails_alone() -> None:
    answers = await Bench().answers("a", "bad", "cc", "ddd")
    assert [answers[0], answers[2], answers[3]] == [1, 2, 3]
    assert isinstance(answers[1], ValueError)


async def test_a_batch_too_large_for_memory_is_halved() -> None:
    bench = Bench(most=1)
    assert await bench.answers("a", "bb", "ccc") == [1, 2, 3]


async def test_a_fatal_failure_is_not_tried_again() -> None:
    bench = Bench()
    answers = await bench.answers("a", "fatal")
    assert all(isinstance(answer, RewardRefused) for answer in answers)
    assert len(bench.batches) == 1


async def test_a_cancelled_caller_leaves_the_queue() -> None:
    bench = Bench()
    call = asyncio.ensure_future(bench.batcher.submit("gone"))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.sleep(0)
    assert await bench.answers("a") == [1]
    assert bench.batches == [["a"]]


async def test_one_worker_for_any_number_of_calls() -> None:
    bench = Bench()
    calls = [asyncio.ensure_future(bench.batcher.submit("a" * (i + 1))) for i in range(50)]
    await asyncio.sleep(0)
    assert len(bench.bodies) == 1
    bench.bodies.pop()()
    assert await asyncio.gather(*calls) == list(range(1, 51))


def doubled(batch: Sequence[str]) -> list[str]:
    return [item * 2 for item in batch]


async def test_a_real_thread_serves_and_goes() -> None:
    batcher = MicroBatcher(doubled, length=len, budget=10)
    assert await asyncio.gather(*map(batcher.submit, "abc")) == ["aa", "bb", "cc"]
    await batcher.aclose()
    with pytest.raises(RewardError, match="closed"):
        await batcher.submit("d")


def test_one_batcher_serves_several_loops() -> None:
    batcher = MicroBatcher(doubled, length=len, budget=10)
    assert [asyncio.run(batcher.submit(item)) for item in ("a", "b")] == ["aa", "bb"]


async def test_several_workers_share_what_waits() -> None:
    bodies: list[Callable[[], None]] = []
    batcher = MicroBatcher(doubled, length=len, budget=2, workers=2, start=bodies.append)
    calls = asyncio.gather(*map(batcher.submit, "abcdef"))
    await asyncio.sleep(0)
    assert len(bodies) == 2
    bodies.pop()()
    bodies.pop()()
    assert await calls == ["aa", "bb", "cc", "dd", "ee", "ff"]
    await batcher.aclose()


def test_a_budget_below_one_token_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        MicroBatcher(doubled, length=len, budget=0)
