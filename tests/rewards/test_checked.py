"""A second reward that guides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tpo.errors import RewardError, RewardRefused
from tpo.rewards.checked import CheckedReward
from tpo.rewards.ensemble import Ensemble
from tpo.rewards.scripted import ScriptedReward
from tpo.store.journal import Journal
from tpo.store.journaled_models import JournaledReward
from tpo.types import Messages, Scope, Score, user

MESSAGES = (user("?"),)
SCOPE = Scope("q", 1, "reward", 0)


async def score(reward: ScriptedReward, check: ScriptedReward) -> Score:
    return await CheckedReward(reward, check).score(MESSAGES, "text", SCOPE)


async def test_the_score_holds_both_values_and_the_first_is_its_value() -> None:
    found = await score(ScriptedReward(), ScriptedReward({"text": -3.0}))
    assert (found.value, found.check, found.tokens) == (4.0, -3.0, 1)


class Plain:
    """A reward that gives a plain number, as functions do."""

    async def score(self, messages: Messages, response: str, scope: Scope) -> float:
        return len(response) / 2


async def test_rewards_that_give_plain_numbers_have_the_same_score_everywhere(tmp_path: Path) -> None:
    plain: Any = Plain()
    assert await CheckedReward(plain, plain).score(MESSAGES, "text", SCOPE) == Score(2.0, check=2.0)
    ensemble = Ensemble({"a": plain, "b": ScriptedReward(len)})
    assert (await ensemble.score(MESSAGES, "text", SCOPE)).parts == {"a": 2.0, "b": 4.0}
    journal = Journal(tmp_path / "j")
    assert await JournaledReward(plain, journal).score(MESSAGES, "text", SCOPE) == Score(2.0)
    await journal.close()


async def test_a_response_that_only_the_check_reward_refuses_has_no_check() -> None:
    found = await score(ScriptedReward(), ScriptedReward({}))
    assert (found.value, found.check) == (4.0, None)


async def test_a_failure_of_the_reward_is_raised_and_a_fatal_one_of_the_check_reward() -> None:
    with pytest.raises(RewardError, match="no score is scripted"):
        await score(ScriptedReward({}), ScriptedReward())
    with pytest.raises(RewardRefused, match="gone"):
        await score(ScriptedReward(), ScriptedReward(failures={"text": RewardRefused("gone")}))
