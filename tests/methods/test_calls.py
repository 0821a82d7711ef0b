"""Calls of one attempt: scoring beside writing, and which of several failures is raised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest

from tests.methods.own import PROMPT, QUERY, Own, run
from tpo.errors import PolicyError, PolicyRefused, RewardError, RewardRefused, RewardUnavailable
from tpo.methods.attempt import Attempt
from tpo.methods.calls import worst
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Completion, Messages, Sampling, Scope, Score


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


class TestValuesOfAnObject:
    """A policy or a reward of the user's own gives what the protocol promises, or an error names it."""

    class Reward:
        def __init__(self, value: Any, response: str = "sample 0.1 of q7") -> None:
            self._value = value
            self._response = response

        async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
            if response != self._response:
                return Score(1.0)
            if isinstance(self._value, BaseException):
                raise self._value
            found: Score = self._value
            return found

    class Policy:
        def __init__(self, completions: Sequence[Any]) -> None:
            self._completions = completions

        async def sample(
            self, messages: Messages, sampling: Sampling, scope: Scope
        ) -> AsyncIterator[Completion]:
            for completion in self._completions:
                await asyncio.sleep(0)
                if isinstance(completion, BaseException):
                    raise completion
                yield completion

    @pytest.mark.parametrize(
        "value",
        [
            Score(float("nan")),
            Score("9"),  # type: ignore[arg-type]  # on purpose
            Score(True * 1j),  # type: ignore[arg-type]  # on purpose
            Score(1.0, parts={"a": float("inf")}),
            Score(1.0, criteria={"a": "b"}),  # type: ignore[dict-item]  # on purpose
            None,
            "9",
        ],
        ids=repr,
    )
    def test_a_score_that_is_no_finite_number_fails_its_response_alone(self, value: Any) -> None:
        trajectory = run(sample_three, reward=self.Reward(value))
        assert trajectory.status == "finished"
        assert [c.id for c in trajectory.pool] == ["0.0", "0.2"]
        (failed,) = [c for c in trajectory.candidates if c.score is None]
        assert failed.id == "0.1"

    def test_the_error_names_the_query_the_response_and_the_reward(self) -> None:
        reward = self.Reward(Score("9"), "x")  # type: ignore[arg-type]  # on purpose
        trajectory = run(sample_three, ScriptedPolicy("x"), reward)
        assert trajectory.error is not None
        assert "query 'q7', response 0." in trajectory.error
        assert "Reward must return a finite number; it returned Score(value='9'" in trajectory.error

    def test_a_cancellation_that_a_reward_raises_is_an_error_of_its_response(self) -> None:
        trajectory = run(sample_three, reward=self.Reward(asyncio.CancelledError()))
        assert [c.id for c in trajectory.candidates] == ["0.0", "0.1", "0.2"]
        trajectory = run(sample_three, ScriptedPolicy("x"), self.Reward(asyncio.CancelledError(), "x"))
        assert trajectory.error is not None
        assert "query 'q7', response 0." in trajectory.error
        assert "Reward raised CancelledError" in trajectory.error

    @pytest.mark.parametrize("value", [Score(float("nan")), asyncio.CancelledError()], ids=repr)
    def test_a_text_that_is_no_response_has_no_score_either(self, value: Any) -> None:
        found: list[tuple[float | None, ...]] = []

        async def steps(attempt: Attempt) -> None:
            await attempt.sample(PROMPT, n=1)
            async with attempt.step() as step:
                found.append(await step.score(["good", "bad"]))

        run(steps, reward=self.Reward(value, "bad"))
        assert found == [(1.0, None)]

    def test_a_reward_that_is_not_asynchronous_is_refused_in_plain_words(self) -> None:
        class Plain:
            def score(self, messages: Messages, response: str, scope: Scope) -> Score:
                return Score(1.0)

        with pytest.raises(RewardRefused, match=r"Plain\.score must be a coroutine function"):
            run(sample_three, reward=cast(Any, Plain()))

    def test_a_cancellation_that_a_policy_raises_fails_its_query(self) -> None:
        policy = self.Policy([Completion(0, "a"), asyncio.CancelledError()])
        trajectory = run(sample_three, policy)
        assert trajectory.error == "query 'q7', sample of step 0: Policy raised CancelledError"
        assert [c.id for c in trajectory.pool] == ["0.0"]

    @pytest.mark.parametrize(
        ("completions", "fault"),
        [
            ([Completion(0, "a"), Completion(1, "b"), Completion(1, "c")], "Policy gave sample 1 twice"),
            (
                [Completion(index, "a") for index in range(4)],
                "Policy gave sample 3; 3 were requested, from 0 to 2",
            ),
            ([Completion(-1, "a")], "Policy gave sample -1; 3 were requested, from 0 to 2"),
            ([Completion("0", "a")], "Policy gave sample '0'; 3 were requested, from 0 to 2"),  # type: ignore[arg-type]
            ([Completion(0, None)], "Policy must give texts; sample 0 is None"),  # type: ignore[arg-type]
            ([Completion(0, b"a")], "Policy must give texts; sample 0 is b'a'"),  # type: ignore[arg-type]
            (["a"], "Policy must yield Completion values; it yielded 'a'"),
        ],
    )
    def test_a_completion_that_breaks_the_protocol_fails_its_query(
        self, completions: Sequence[Any], fault: str
    ) -> None:
        trajectory = run(sample_three, self.Policy(completions))
        assert trajectory.error == f"query 'q7', sample of step 0: {fault}"
        assert trajectory.failure == "server"

    def test_a_cancelled_attempt_stays_cancelled(self) -> None:
        async def main() -> None:
            started = asyncio.Event()

            async def hang(_: object) -> None:
                started.set()
                await asyncio.Event().wait()

            optimizer = Optimizer(ScriptedPolicy(), ScriptedReward(before=hang), Own(steps=sample_three))
            task = asyncio.create_task(optimizer.optimize(QUERY))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
