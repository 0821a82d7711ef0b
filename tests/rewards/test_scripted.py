import pytest

from tpo.errors import RewardError
from tpo.rewards.scripted import RewardCall, ScriptedReward
from tpo.types import Scope, Score, user

MESSAGES = (user("hi"),)
SCOPE = Scope("q0", 0, "reward", 1)


async def test_scores_are_by_function_or_by_text_and_tokens_are_words() -> None:
    assert await ScriptedReward().score(MESSAGES, "two words", SCOPE) == Score(9.0, tokens=2)
    reward = ScriptedReward({"good": 1})
    assert await reward.score(MESSAGES, "good", SCOPE) == Score(1.0, tokens=1)
    assert reward.calls == [RewardCall(MESSAGES, "good", SCOPE)]
    with pytest.raises(RewardError, match="no score is scripted for 'bad'"):
        await reward.score(MESSAGES, "bad", SCOPE)


@pytest.mark.parametrize("key", [SCOPE, "bad"])
async def test_it_fails_where_it_is_told_to(key: Scope | str) -> None:
    reward = ScriptedReward(failures={key: RewardError("no")})
    with pytest.raises(RewardError, match="no"):
        await reward.score(MESSAGES, "bad", SCOPE)
    assert (await reward.score(MESSAGES, "good", Scope("q1", 0, "reward", 1))).value == 4
