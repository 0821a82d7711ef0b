"""Servers that hold a request: how long they are listened to, and for how long it is tried again."""

from __future__ import annotations

import pytest

from tests.fault_proxy import FaultProxy
from tests.faults.whole_run import root
from tests.openai_server import OpenAIServer
from tpo.config import build_policy, build_reward, load_settings, policy_of, reward_of
from tpo.errors import PolicyError, RewardError
from tpo.policies.base import Policy
from tpo.rewards.base import Reward
from tpo.types import Sampling, Scope, user

MESSAGES = (user("Hello"),)
SILENT = "kept silent for 0.3 s"


async def drawn(policy: Policy) -> int:
    return len([one async for one in policy.sample(MESSAGES, Sampling(), Scope("q", 0, "sample"))])


async def scored(reward: Reward) -> float:
    return (await reward.score(MESSAGES, "Hi", Scope("q", 0, "reward", 0))).value


async def test_a_silent_server_is_left_after_the_timeout_that_was_set() -> None:
    with OpenAIServer() as server, FaultProxy(root(server), share=1.0, faults=["held"], held=60.0) as proxy:
        policy = build_policy(proxy.url, timeout=0.3, retry_timeout=0.0)
        with pytest.raises(PolicyError, match=SILENT):
            await drawn(policy)
        judge = build_reward(f"judge:{proxy.url}", timeout=0.3, retry_timeout=0.0)
        with pytest.raises(RewardError, match=SILENT):
            await scored(judge)
        for model in (policy, judge):
            await model.aclose()  # type: ignore[union-attr]  # a protocol says nothing of closing


async def test_the_retry_timeout_is_how_long_it_is_tried_again() -> None:
    with OpenAIServer() as server, FaultProxy(root(server), share=1.0, faults=["held"], held=60.0) as proxy:
        models = {"policy": proxy.url, "reward": f"judge:{proxy.url}"}
        settings = load_settings(models | {"timeout": 0.3, "retry_timeout": 1.2}, {})
        policy, judge = policy_of(settings, {}), reward_of(settings, {})
        with pytest.raises(PolicyError, match=r"given up after \d+ tries"):
            await drawn(policy)
        with pytest.raises(RewardError, match=r"given up after \d+ tries"):
            await scored(judge)
        for model in (policy, judge):
            await model.aclose()  # type: ignore[union-attr]  # a protocol says nothing of closing
