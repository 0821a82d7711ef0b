import asyncio

from tpo.per_loop import PerLoop


def test_each_loop_has_a_value_of_its_own_and_keeps_it() -> None:
    values = PerLoop(object)

    async def twice() -> tuple[object, object]:
        return values.get(), values.get()

    first, again = asyncio.run(twice())
    other, _ = asyncio.run(twice())
    assert first is again
    assert other is not first


async def test_a_popped_value_is_made_anew() -> None:
    values = PerLoop(object)
    assert values.pop() is None
    first = values.get()
    assert values.pop() is first
    assert values.get() is not first
