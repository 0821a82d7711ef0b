"""The loop, from first samples to best answer, and what it does when something gives way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpo.errors import (
    DataError,
    PolicyError,
    PolicyRefused,
    RewardError,
    RewardRefused,
    RewardUnavailable,
    TpoError,
)
from tpo.events import CandidateScored, Event, PairChosen, QueryEnded, QueryStarted, UpdateMalformed
from tpo.methods.catalog import build_method
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import PolicyCall, Reply, ScriptedPolicy, improved
from tpo.rewards.scripted import RewardCall, ScriptedReward
from tpo.types import Completion, FinishReason, Phase, Query, Sampling, Scope, Trajectory, user

QUERY = Query("q7", (user("Say hello."),))


def optimize(
    policy: ScriptedPolicy, reward: ScriptedReward | None = None, method: str = "tpo", **shape: Any
) -> Trajectory:
    optimizer = Optimizer(policy, reward or ScriptedReward(), build_method(method, **shape))
    return asyncio.run(optimizer.optimize(QUERY))


def phases(policy: ScriptedPolicy) -> Counter[Phase]:
    return Counter(call.scope.phase for call in policy.calls)


def pairs(trajectory: Trajectory) -> list[tuple[str, str | None]]:
    """Ids of chosen and rejected of each step."""
    found = [step.pair for step in trajectory.steps if step.pair is not None]
    return [(pair.chosen.id, None if pair.rejected is None else pair.rejected.id) for pair in found]


@pytest.mark.parametrize("method", ["tpo", "paper", "revision", "paper-revision"])
@given(n=st.integers(1, 6), d=st.integers(0, 4))
@settings(max_examples=12, deadline=None)
def test_it_takes_3d_plus_1_requests_and_n_d_plus_1_plus_2d_completions(method: str, n: int, d: int) -> None:
    policy = ScriptedPolicy()
    trajectory = optimize(policy, method=method, sample_size=n, max_iterations=d)
    assert len(policy.calls) == 3 * d + 1
    assert sum(call.sampling.n for call in policy.calls) == n * (d + 1) + 2 * d
    assert len(trajectory.pool) == n * (d + 1)
    assert trajectory.reward_usage.calls == n * (d + 1)
    assert sum(usage.calls for usage in trajectory.usage.values()) == 3 * d + 1
    assert (trajectory.status, trajectory.stop_reason) == ("finished", "max_iterations")


def test_best_of_n_is_the_first_samples_alone() -> None:
    policy = ScriptedPolicy()
    trajectory = optimize(policy, method="bon", sample_size=9)
    assert phases(policy) == {"sample": 1}
    assert len(trajectory.pool) == 9


def test_chosen_and_rejected_are_taken_from_the_whole_pool_and_the_answer_too() -> None:
    updates = {1: ["better", "awful"], 2: ["middling", "fair"]}
    script: dict[Phase | tuple[Phase, int], Reply] = {
        "sample": ["poor", "good"],
        "loss": "loss",
        "gradient": "gradient",
        ("update", 1): [improved(t) for t in updates[1]],
        ("update", 2): [improved(t) for t in updates[2]],
    }
    scores = {"poor": -1.0, "good": 1.0, "better": 3.0, "awful": -9.0, "middling": 0.0, "fair": 2.0}
    trajectory = optimize(ScriptedPolicy(script), ScriptedReward(scores), sample_size=2, max_iterations=3 - 1)
    assert pairs(trajectory) == [("0.1", "0.0"), ("1.0", "1.1")]
    assert trajectory.answer == "better"


def test_rewards_see_the_users_messages_and_never_the_methods_prompts() -> None:
    reward = ScriptedReward()
    optimize(ScriptedPolicy(), reward, "paper")
    assert reward.calls
    assert all(call.messages == QUERY.messages for call in reward.calls)


def test_every_calls_seed_is_its_own_and_repeats() -> None:
    first, second = ScriptedPolicy(), ScriptedPolicy()
    optimize(first)
    optimize(second)
    seeds = [call.sampling.seed for call in first.calls]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [call.sampling.seed for call in second.calls]


@pytest.mark.parametrize("order", [reversed, lambda indices: [i for i in (2, 0, 4, 1, 3) if i in indices]])
def test_the_order_in_which_completions_come_changes_nothing(
    order: Callable[[Sequence[int]], Iterable[int]],
) -> None:
    assert optimize(ScriptedPolicy(order=order)).pool == optimize(ScriptedPolicy()).pool


def test_a_response_is_scored_while_its_siblings_are_still_being_written() -> None:
    scored = asyncio.Event()

    async def until_scored(call: PolicyCall, index: int) -> None:
        if index == 1:
            await scored.wait()

    async def tell(call: RewardCall) -> None:
        scored.set()

    policy = ScriptedPolicy(before=until_scored)
    trajectory = optimize(policy, ScriptedReward(before=tell), "bon", sample_size=2)
    assert len(trajectory.pool) == 2


class TestWhatDoesNotGoByTheBook:
    def test_equal_rewards_choose_the_earliest(self) -> None:
        trajectory = optimize(ScriptedPolicy(), ScriptedReward(lambda _: 1.0))
        assert pairs(trajectory)[0][0] == "0.0"
        assert trajectory.best is not None
        assert trajectory.best.id == "0.0"

    def test_one_sample_goes_the_whole_way(self) -> None:
        trajectory = optimize(ScriptedPolicy(), sample_size=1)
        assert [len(step.candidates) for step in trajectory.steps] == [1, 1]
        assert pairs(trajectory)[0][1] is None
        assert pairs(trajectory)[1][1] is not None

    def test_a_malformed_update_is_kept_and_its_siblings_count(self) -> None:
        script: dict[Phase | tuple[Phase, int], Reply] = {
            "sample": "x",
            "loss": "l",
            "gradient": "g",
            "update": [improved("new"), "no tags"],
        }
        trajectory = optimize(ScriptedPolicy(script), sample_size=2, max_iterations=1)
        (step,) = trajectory.steps
        assert [c.id for c in step.candidates] == ["1.0"]
        assert [(m.index, m.text) for m in step.unreadable] == [(1, "no tags")]

    def test_when_every_update_of_a_step_is_malformed_the_next_step_goes_on(self) -> None:
        script: dict[Phase | tuple[Phase, int], Reply] = {
            "sample": ["poor", "the best"],
            "loss": "l",
            "gradient": "g",
            "update": "no tags",
        }
        script["update", 2] = [improved("better than the best"), "no tags"]
        trajectory = optimize(ScriptedPolicy(script), sample_size=2, max_iterations=3)
        assert (trajectory.status, trajectory.stop_reason) == ("finished", "max_iterations")
        assert [len(step.unreadable) for step in trajectory.steps] == [2, 1, 2]
        assert [chosen for chosen, _ in pairs(trajectory)] == ["0.1", "0.1", "2.0"]
        assert trajectory.answer == "better than the best"

    def test_an_update_that_repeats_the_chosen_text_is_a_candidate_like_any(self) -> None:
        script: dict[Phase | tuple[Phase, int], Reply] = {
            "sample": "same",
            "loss": "l",
            "gradient": "g",
            "update": improved("same"),
        }
        trajectory = optimize(ScriptedPolicy(script), sample_size=2, max_iterations=2)
        assert len(trajectory.pool) == 6
        assert [rejected for _, rejected in pairs(trajectory)] == [None, None]
        assert trajectory.best is not None
        assert trajectory.best.id == "0.0"

    def test_blank_responses_are_kept_and_never_scored_or_chosen(self) -> None:
        """A reward that likes short answers would choose them."""
        thought = Completion(0, " ", "length", reasoning="Hm, so")
        replies: list[str | Completion] = [thought, "\n", "text", "text", "text"]
        policy = ScriptedPolicy(lambda _, index: replies[index])
        trajectory = optimize(policy, ScriptedReward(lambda text: -len(text)), method="bon")
        assert trajectory.answer == "text"
        assert [c.id for c in trajectory.candidates] == ["0.2", "0.3", "0.4"]
        assert [reply.index for reply in trajectory.first.unreadable] == [0, 1]
        assert trajectory.first.blank == 2

    @pytest.mark.parametrize(("finish", "cause"), [("stop", "they are blank"), ("length", "--max-tokens")])
    def test_a_query_without_any_text_fails_and_says_why(self, finish: FinishReason, cause: str) -> None:
        trajectory = optimize(ScriptedPolicy({"sample": Completion(0, "", finish)}))
        assert trajectory.status == "failed"
        assert cause in str(trajectory.error)


class TestFailure:
    def test_a_failing_call_ends_its_query_with_reason_and_pool(self) -> None:
        failures = {Scope("q7", 1, "gradient"): PolicyError("query 'q7': server gone")}
        trajectory = optimize(ScriptedPolicy(failures=failures))
        assert (trajectory.status, trajectory.stop_reason) == ("failed", "error")
        assert trajectory.error == "query 'q7': server gone"
        assert len(trajectory.pool) == 5

    def test_what_came_before_a_failure_in_a_draw_is_kept(self) -> None:
        failures = {Scope("q7", 1, "update", 3): PolicyError("gone")}
        trajectory = optimize(ScriptedPolicy(failures=failures))
        assert (trajectory.status, trajectory.error) == ("failed", "gone")
        assert [c.id for c in trajectory.steps[0].candidates] == ["1.0", "1.1", "1.2"]

    def test_a_response_without_a_score_is_kept_and_its_query_goes_on(self) -> None:
        failures: dict[Scope | str, Exception] = {
            Scope("q7", 0, "reward", 2): RewardError("NaN"),
            **{Scope("q7", 1, "reward", index): RewardError("NaN") for index in range(5)},
        }
        trajectory = optimize(ScriptedPolicy(), ScriptedReward(failures=failures))
        assert (trajectory.status, trajectory.error) == ("finished", None)
        assert [c.id for c in trajectory.initial] == ["0.0", "0.1", "0.3", "0.4"]
        assert [c.score for c in trajectory.steps[0].candidates] == [None] * 5
        assert len(trajectory.steps[1].scored) == 5

    def test_a_reward_server_that_is_gone_ends_its_query_which_is_tried_again_later(self) -> None:
        failures: dict[Scope | str, Exception] = {Scope("q7", 0, "reward", 2): RewardUnavailable("gone")}
        trajectory = optimize(ScriptedPolicy(), ScriptedReward(failures=failures))
        assert (trajectory.status, trajectory.error) == ("failed", "gone")
        assert [c.id for c in trajectory.pool] == ["0.0", "0.1", "0.3", "0.4"]

    @pytest.mark.parametrize("error", [PolicyRefused("wrong key"), RewardRefused("two labels")])
    def test_what_every_query_would_meet_is_raised(self, error: TpoError) -> None:
        policy = ScriptedPolicy({"sample": error} if isinstance(error, PolicyRefused) else {"sample": "x"})
        reward = ScriptedReward(failures={"x": error})
        with pytest.raises(type(error), match=str(error)):
            optimize(policy, reward)

    def test_a_bug_in_a_model_ends_its_query_alone_and_is_told(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        trajectory = optimize(ScriptedPolicy({"sample": KeyError("weights")}))
        assert trajectory.error == "unexpected KeyError: 'weights'"
        assert "failed unexpectedly" in caplog.text
        with pytest.raises(TpoError, match=r"no answer: unexpected KeyError"):
            _ = trajectory.answer

    def test_a_policy_that_gives_too_few_is_found_out(self) -> None:
        class Stingy:
            async def sample(self, messages: object, sampling: Sampling, scope: Scope):  # type: ignore[no-untyped-def]  # noqa: ANN202
                yield Completion(0, "only one")

        trajectory = asyncio.run(Optimizer(Stingy(), ScriptedReward()).optimize(QUERY))
        assert trajectory.error is not None
        assert "gave 1 of 5" in trajectory.error
        assert len(trajectory.pool) == 1


class TestListening:
    def test_events_tell_the_whole_story_in_order(self) -> None:
        heard: list[Event] = []
        recipe = build_method("tpo", sample_size=2, max_iterations=1)
        optimizer = Optimizer(ScriptedPolicy(), ScriptedReward(), recipe, listener=heard.append)
        trajectory = asyncio.run(optimizer.optimize(QUERY))
        assert heard[0] == QueryStarted(QUERY)
        assert heard[-1] == QueryEnded(trajectory)
        told = Counter(type(event).__name__ for event in heard)
        assert told == {
            "QueryStarted": 1,
            "Sampled": 6,
            "CandidateScored": 4,
            "PairChosen": 1,
            "StepStarted": 1,
            "CallStarted": 4,
            "CritiqueWritten": 2,
            "QueryEnded": 1,
        }
        assert [type(e) for e in heard].index(PairChosen) > [type(e) for e in heard].index(CandidateScored)

    def test_a_malformed_update_is_announced(self) -> None:
        heard: list[Event] = []
        policy = ScriptedPolicy("no tags anywhere")
        asyncio.run(Optimizer(policy, ScriptedReward(), listener=heard.append).optimize(QUERY))
        assert sum(isinstance(event, UpdateMalformed) for event in heard) == 2 * 5

    def test_a_listener_that_fails_never_breaks_the_loop(self, caplog: pytest.LogCaptureFixture) -> None:
        def broken(event: Event) -> None:
            raise ValueError("the screen is gone")

        optimizer = Optimizer(ScriptedPolicy(), ScriptedReward(), listener=broken)
        assert asyncio.run(optimizer.optimize(QUERY)).status == "finished"
        assert "the screen is gone" in caplog.text


class TestAsALibrary:
    def test_plain_functions_do(self) -> None:
        def policy(messages: list[object], sampling: Sampling) -> str:
            return improved("revised") if "improved_response" in str(messages) else "draft"

        trajectory = Optimizer(policy, lambda messages, response: len(response)).run("Hello?")
        assert trajectory.answer == "revised"

    async def test_run_works_while_a_loop_is_running(self) -> None:
        assert Optimizer(ScriptedPolicy(), ScriptedReward()).run("Hello?").status == "finished"

    def test_a_conversation_may_be_given_as_it_is(self) -> None:
        talk = [user("Hi."), {"role": "assistant", "content": "Yes?"}, user("Again.")]
        trajectory = Optimizer(ScriptedPolicy(), ScriptedReward()).run(talk)
        assert trajectory.query.text == "Again."

    @pytest.mark.parametrize("talk", [[], [{"role": "assistant", "content": "Yes?"}]])
    def test_a_conversation_must_end_with_a_user(self, talk: list[dict[str, str]]) -> None:
        with pytest.raises(DataError, match="must end with a turn of the user"):
            Optimizer(ScriptedPolicy(), ScriptedReward()).run(talk)

    def test_time_is_the_clocks(self) -> None:
        clock = iter([10.0, 12.5])
        optimizer = Optimizer(ScriptedPolicy(), ScriptedReward(), clock=lambda: next(clock))
        timing = optimizer.run("Hello?").timing
        assert (timing.started, timing.ended) == (10.0, 12.5)
