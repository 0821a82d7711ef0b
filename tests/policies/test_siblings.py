import asyncio

import pytest

from tpo.policies.siblings import as_finished


async def test_results_come_as_they_finish() -> None:
    gates = [asyncio.Event() for _ in range(3)]

    async def job(index: int) -> int:
        await gates[index].wait()
        return index

    results = as_finished(job(i) for i in range(3))
    order = []
    for index in (2, 0, 1):
        gates[index].set()
        order.append(await anext(results))
    assert order == [2, 0, 1]


async def test_the_first_failure_ends_the_others() -> None:
    ended = asyncio.Event()

    async def waiting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def failing() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        _ = [result async for result in as_finished([waiting(), failing()])]
    assert ended.is_set()
