"""Calls of one attempt: scoring beside writing, and which of several failures is raised."""

from __future__ import annotations

import pytest

from tests.methods.own import PROMPT, run
from tpo.errors import PolicyError, PolicyRefused, RewardError, RewardRefused, RewardUnavailable
from tpo.methods.attempt import Attempt
from tpo.methods.calls import worst
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Scope


async def sample_three(attempt: Attempt) -> None:
    await attempt.sample(PROMPT, n=3)


def test_a_fatal_failure_among_siblings_goes_before_an_earlier_one() -> None:
    reward = ScriptedReward(
        failures={
            Scope("q7", 0, "reward", 0): RewardError("one score is missing"),
            Scope("q7", 0, "reward", 2): RewardRefused("wrong key"),
        }
    )
    with pytest.raises(RewardRefused, match="wrong key"):
        run(sample_three, reward=reward)
    assert len(reward.calls) == 3


def test_a_fatal_score_goes_before_the_policys_failure() -> None:
    policy = ScriptedPolicy(failures={Scope("q7", 0, "sample", 1): PolicyError("cut")})
    reward = ScriptedReward(failures={Scope("q7", 0, "reward", 0): RewardRefused("wrong key")})
    with pytest.raises(RewardRefused):
        run(sample_three, policy, reward)


def test_of_failures_that_end_one_query_the_first_is_told() -> None:
    failures = {Scope("q7", 0, "reward", index): RewardUnavailable(f"score {index}") for index in (0, 2)}
    trajectory = run(sample_three, reward=ScriptedReward(failures=failures))  # type: ignore[arg-type]
    assert trajectory.error == "score 0"
    assert [c.id for c in trajectory.pool] == ["0.1"]


def test_the_cost_of_a_response_that_could_not_be_scored_is_counted() -> None:
    failures = {Scope("q7", 0, "reward", index): RewardError("gone") for index in range(3)}
    trajectory = run(sample_three, reward=ScriptedReward(failures=failures))  # type: ignore[arg-type]
    assert trajectory.usage["sample"].calls == 1
    assert trajectory.first.calls[0].usage == trajectory.usage["sample"]


def test_groups_are_looked_into_for_the_worst() -> None:
    refused = PolicyRefused("x")
    group = ExceptionGroup("both", [PolicyError("a"), ExceptionGroup("inner", [refused])])
    assert worst([ValueError("first"), group]) is refused
    first = ValueError("first")
    assert worst([first, PolicyError("second")]) is first


def test_when_no_first_sample_gets_a_score_the_query_fails_with_the_reason() -> None:
    failures = {Scope("q7", 0, "reward", index): RewardError(f"score {index}") for index in range(3)}
    trajectory = run(sample_three, reward=ScriptedReward(failures=failures))  # type: ignore[arg-type]
    assert (trajectory.status, trajectory.error) == ("failed", "score 2")
    assert [(c.id, c.score) for c in trajectory.candidates] == [("0.0", None), ("0.1", None), ("0.2", None)]
