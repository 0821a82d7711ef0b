"""Wrappers of policies: check and close reach the policy, and calls that are left early end."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tpo.policies.scripted import ScriptedPolicy
from tpo.policies.wrapper import Wrapper, closing


class Watched(ScriptedPolicy):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    async def check(self) -> None:
        self.heard.append("check")

    async def aclose(self) -> None:
        self.heard.append("close")


async def test_check_and_close_reach_the_policy_where_it_has_them() -> None:
    policy = Watched()
    wrapper = Wrapper(policy)
    await wrapper.check()
    await wrapper.aclose()
    assert policy.heard == ["check", "close"]
    bare = Wrapper(object())  # type: ignore[arg-type]  # a policy needs neither
    await bare.check()
    await bare.aclose()


async def test_a_call_that_is_left_early_ends_with_its_block() -> None:
    ended: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            ended.append("ended")

    async with closing(numbers()) as found:
        async for number in found:
            assert number == 1
            break
        assert not ended
    assert ended == ["ended"]
