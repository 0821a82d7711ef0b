import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.values import candidate, trajectory
from tests.experiments.sweep.scripted import plan
from tpo.errors import RewardError, RewardRefused
from tpo.experiments.sweep.held_out import HeldOutScores, best_by_step, scored_candidates
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Trajectory

FIRST = [candidate(0, 0, "a", 1.0), candidate(0, 1, "b", 3.0)]
BETTER = trajectory("q0", FIRST, [candidate(1, 0, "c", 5.0)])
NO_BETTER = trajectory("q1", FIRST, [candidate(1, 0, "c", 2.0)])


def score(path: Path, trajectories: Sequence[Trajectory], reward: ScriptedReward) -> HeldOutScores:
    async def whole() -> HeldOutScores:
        held_out = HeldOutScores(path)
        try:
            await held_out.score(trajectories, reward, concurrency=2)
            return held_out
        finally:
            await held_out.close()

    return asyncio.run(whole())


def test_the_first_samples_and_the_best_after_each_step_are_looked_at() -> None:
    assert [each.text for each in scored_candidates(BETTER)] == ["a", "b", "b", "c"]
    assert [each.text for each in best_by_step(NO_BETTER)] == ["b", "b"]
    assert scored_candidates(trajectory("q2", error="gone")) == ()


def test_each_response_is_scored_once_however_many_cells_chose_it(tmp_path: Path) -> None:
    reward = ScriptedReward({"a": 1.0, "b": 2.0, "c": 3.0})
    held_out = score(tmp_path / "kept.jsonl", [BETTER, BETTER, NO_BETTER], reward)
    assert sorted((call.scope.query, call.response) for call in reward.calls) == [
        *(("q0", text) for text in "abc"),
        *(("q1", text) for text in "ab"),
    ]
    assert held_out.value(BETTER.query, "c") == 3.0
    assert held_out.value(BETTER.query, "never seen") is None


def test_what_is_scored_is_kept_and_a_later_one_asks_only_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    with pytest.raises(RewardRefused):
        score(path, [BETTER], ScriptedReward(len, failures={"c": RewardRefused("no key")}))
    again = ScriptedReward(len)
    held_out = score(path, [BETTER], again)
    assert [call.response for call in again.calls] == ["c"]
    assert held_out.is_complete([BETTER])


def test_a_response_that_is_refused_is_noted_and_leaves_the_others(tmp_path: Path) -> None:
    reward = ScriptedReward(len, failures={"b": RewardError("too long")})
    held_out = score(tmp_path / "kept.jsonl", [BETTER], reward)
    assert list(held_out.failures.values()) == ["too long"]
    assert held_out.value(BETTER.query, "c") == 1.0
    assert not held_out.is_complete([BETTER])


def test_rows_may_not_change_in_columns_that_the_held_out_reward_reads(tmp_path: Path) -> None:
    of = plan(tmp_path, check_reward="verify:regex")
    assert of.held_out_columns() == ("pattern",)
    columns = of.run_plan(of.cells[0]).columns
    assert columns is not None
    assert set(columns["verify:regex"]) == {"pattern"}
    assert plan(tmp_path, check_reward=None).held_out_columns() == ()
