"""A second reward that guides nothing."""

from __future__ import annotations

import pytest

from tpo.errors import RewardError, RewardRefused
from tpo.rewards.checked import CheckedReward
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Scope, Score, user

MESSAGES = (user("?"),)
SCOPE = Scope("q", 1, "reward", 0)


async def score(reward: ScriptedReward, check: ScriptedReward) -> Score:
    return await CheckedReward(reward, check).score(MESSAGES, "text", SCOPE)


async def test_the_score_holds_both_values_and_the_first_is_its_value() -> None:
    found = await score(ScriptedReward(), ScriptedReward({"text": -3.0}))
    assert (found.value, found.check, found.tokens) == (4.0, -3.0, 1)


async def test_a_response_that_only_the_check_reward_refuses_has_no_check() -> None:
    found = await score(ScriptedReward(), ScriptedReward({}))
    assert (found.value, found.check) == (4.0, None)


async def test_a_failure_of_the_reward_is_raised_and_a_fatal_one_of_the_check_reward() -> None:
    with pytest.raises(RewardError, match="no score is scripted"):
        await score(ScriptedReward({}), ScriptedReward())
    with pytest.raises(RewardRefused, match="gone"):
        await score(ScriptedReward(), ScriptedReward(failures={"text": RewardRefused("gone")}))
