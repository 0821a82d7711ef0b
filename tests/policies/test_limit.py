import asyncio

import pytest

from tpo.errors import ConfigError, PolicyError
from tpo.policies import Limited, ScriptedPolicy
from tpo.types import Sampling, Scope, user


async def ask(policy: Limited, query: str = "q0") -> list[str]:
    scope = Scope(query, 0, "sample")
    return [c.text async for c in policy.sample((user("hi"),), Sampling(n=2), scope)]


async def test_no_more_calls_are_in_flight_than_allowed() -> None:
    scripted = ScriptedPolicy()
    policy = Limited(scripted, 3)
    replies = await asyncio.gather(*(ask(policy, f"q{i}") for i in range(10)))
    assert scripted.most_in_flight == 3
    assert all(len(reply) == 2 for reply in replies)


async def test_a_call_that_fails_or_is_left_gives_its_place_back() -> None:
    policy = Limited(ScriptedPolicy(failures={Scope("bad", 0, "sample"): PolicyError("no")}), 1)
    with pytest.raises(PolicyError):
        await ask(policy, "bad")
    waiting = ScriptedPolicy(before=lambda *_: asyncio.Event().wait())
    left = Limited(waiting, 1)
    call = asyncio.ensure_future(ask(left))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert waiting.in_flight == 0
    assert len(await ask(policy)) == 2


def test_it_outlives_its_loop_even_when_calls_had_to_wait() -> None:
    policy = Limited(ScriptedPolicy(), 1)

    async def several() -> None:
        await asyncio.gather(*(ask(policy) for _ in range(3)))

    asyncio.run(several())
    asyncio.run(several())


@pytest.mark.parametrize("concurrency", [0, -1])
def test_less_than_one_is_refused(concurrency: int) -> None:
    with pytest.raises(ConfigError, match="--concurrency"):
        Limited(ScriptedPolicy(), concurrency)
