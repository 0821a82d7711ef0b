from dataclasses import replace
from pathlib import Path

from tpo.errors import RewardError
from tpo.experiments.score_store import ScoreStore
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Query, user

FIRST, SECOND = (Query(name, (user("Why?"),)) for name in ("first", "second"))


async def scored(path: Path, reward: ScriptedReward, *responses: tuple[Query, str]) -> ScoreStore:
    store = ScoreStore(path)
    await store.score(responses, reward, concurrency=2)
    await store.close()
    return store


async def test_the_same_response_to_a_query_is_scored_once_and_to_two_queries_twice(tmp_path: Path) -> None:
    reward = ScriptedReward(len)
    store = await scored(tmp_path / "scores", reward, (FIRST, "a"), (FIRST, "a"), (SECOND, "a"))
    assert [call.scope.query for call in reward.calls] == ["first", "second"]
    assert (store.value(FIRST, "a"), store.value(FIRST, "b")) == (1.0, None)


async def test_a_score_is_that_of_the_columns_that_the_reward_reads(tmp_path: Path) -> None:
    for pattern, asked in (("a", 1), ("b", 1), ("b", 0)):
        reward = ScriptedReward(len)
        store = ScoreStore(tmp_path / "scores", ("pattern",))
        query = replace(FIRST, metadata={"pattern": pattern, "other": asked})
        await store.score([(query, "x")], reward)
        await store.close()
        assert len(reward.calls) == asked


async def test_scores_outlive_the_store_and_failures_are_asked_again(tmp_path: Path) -> None:
    failing = ScriptedReward(len, failures={"bb": RewardError("too long")})
    first = await scored(tmp_path / "scores", failing, (FIRST, "a"), (FIRST, "bb"))
    assert list(first.failures.values()) == ["too long"]
    again = ScriptedReward(len)
    second = await scored(tmp_path / "scores", again, (FIRST, "a"), (FIRST, "bb"))
    assert [call.response for call in again.calls] == ["bb"]
    assert (second.value(FIRST, "bb"), second.failures) == (2.0, {})
