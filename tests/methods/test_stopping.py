"""Stopping rules: the target of a reward, the deadline, and a resumed run that repeats its decision."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from tests.methods.own import QUERY, run
from tpo.config import Settings, stopping_identity, stopping_rules
from tpo.errors import ConfigError
from tpo.methods.attempt import Attempt
from tpo.methods.catalog import bon, tpo
from tpo.methods.fallback import FALLBACKS, Fallback
from tpo.methods.optimize import Optimizer
from tpo.methods.stopping import (
    Deadline,
    Plateau,
    SampleCost,
    StoppingRule,
    TargetReward,
    TokenBudget,
    expected_gain,
)
from tpo.policies.scripted import PolicyCall, Reply, Script, ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.store.journal import Journal
from tpo.store.journaled_models import JournaledDecisions, JournaledPolicy, JournaledReward
from tpo.types import Completion, Trajectory, Usage


class Time:
    """A clock that stands at *now*; a sleeper wakes when :meth:`pass_to` reaches its end."""

    def __init__(self) -> None:
        self.now = 0.0
        self.passed = asyncio.Event()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.passed.clear()
            await self.passed.wait()

    def pass_to(self, now: float) -> None:
        self.now = now
        self.passed.set()


@pytest.mark.parametrize(("target", "steps"), [(0.0, 0), (16.0, 1), (17.0, 2)])
def test_a_target_stops_before_the_next_step(target: float, steps: int) -> None:
    script = {"sample": "x", "loss": "l", "gradient": "g"}
    script |= {"update": "<improved_response>sixteen letters.</improved_response>"}
    optimizer = Optimizer(
        ScriptedPolicy(script),  # type: ignore[arg-type]
        ScriptedReward(),
        tpo(sample_size=1, max_iterations=2),
        stopping=[TargetReward(target)],
    )
    trajectory = optimizer.run(QUERY)
    assert len(trajectory.steps) == steps
    assert trajectory.stop_reason == ("target_reward" if steps < 2 else "max_iterations")
    assert trajectory.status == "finished"


def late(time: Time, policy: ScriptedPolicy, **options: object) -> Trajectory:
    optimizer = Optimizer(
        policy,
        ScriptedReward(),
        tpo(sample_size=2, max_iterations=2),
        stopping=[Deadline(10.0, sleep=time.sleep)],
        clock=time,
        **options,  # type: ignore[arg-type]
    )
    return asyncio.run(optimizer.optimize(QUERY))


def test_a_deadline_that_has_passed_lets_no_step_open() -> None:
    time = Time()

    async def wait(call: PolicyCall, index: int) -> None:
        if call.scope.step == 1 and call.scope.phase == "update":
            time.now = 11.0  # nobody is woken: only the next step sees it

    trajectory = late(time, ScriptedPolicy(before=wait))
    assert (trajectory.status, trajectory.stop_reason) == ("finished", "deadline")
    assert [step.number for step in trajectory.steps] == [1]


def test_a_deadline_cancels_inside_a_call_and_the_best_so_far_is_the_answer() -> None:
    time, never = Time(), asyncio.Event()

    async def wait(call: PolicyCall, index: int) -> None:
        if call.scope.step == 2 and call.scope.phase == "gradient":
            time.pass_to(10.0)
            await never.wait()

    policy = ScriptedPolicy(before=wait)
    trajectory = late(time, policy)
    assert (trajectory.status, trajectory.stop_reason) == ("finished", "deadline")
    assert [[call.phase for call in step.calls] for step in trajectory.steps] == [
        ["loss", "gradient", "update"],
        ["loss"],
    ]
    assert policy.in_flight == 0
    assert trajectory.best is not None
    assert trajectory.best.reward == max(c.reward for c in trajectory.pool)


def test_a_deadline_before_any_score_is_a_failure_with_that_reason() -> None:
    time, never = Time(), asyncio.Event()

    async def wait(call: PolicyCall, index: int) -> None:
        time.pass_to(10.0)
        await never.wait()

    trajectory = late(time, ScriptedPolicy(before=wait))
    assert trajectory.status == "failed"
    assert "no response was scored before it ended (deadline)" in str(trajectory.error)


def test_a_rule_that_fails_is_its_querys_failure() -> None:
    async def broken(seconds: float) -> None:
        raise ValueError("no clock")

    never = asyncio.Event()

    async def wait(call: PolicyCall, index: int) -> None:
        await (never.wait() if call.scope.step else asyncio.sleep(0))

    policy = ScriptedPolicy(before=wait)
    optimizer = Optimizer(policy, ScriptedReward(), stopping=[Deadline(9.0, sleep=broken)])
    assert "unexpected ValueError: no clock" in str(optimizer.run(QUERY).error)
    assert policy.in_flight == 0


def test_an_async_rule_is_refused_since_a_coroutine_counts_as_true() -> None:
    class Mine:
        name = "mine"

        async def should_stop(self, attempt: Attempt) -> bool:
            return False

    rules: list[StoppingRule] = [Mine()]  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="'mine': should_stop must be a plain function"):
        stepwise(1, 2, rules=rules)


def test_an_async_rule_on_samples_is_refused_too() -> None:
    class Mine:
        name = "mine"
        round_size = 1

        def should_stop(self, attempt: Attempt) -> bool:
            return False

        async def is_enough(self, attempt: Attempt) -> bool:
            return False

    rules: list[StoppingRule] = [Mine()]
    with pytest.raises(ConfigError, match="'mine': is_enough must be a plain function"):
        stepwise(1, 2, rules=rules)


def test_of_two_deadlines_that_pass_at_once_the_first_speaks_and_the_task_is_not_left_cancelled() -> None:
    time, never = Time(), asyncio.Event()

    async def wait(call: PolicyCall, index: int) -> None:
        if call.scope.step == 1:
            time.pass_to(10.0)
            await never.wait()

    async def main() -> tuple[Trajectory, int]:
        rules = [Deadline(10.0, sleep=time.sleep), Deadline(10.0, sleep=time.sleep)]
        optimizer = Optimizer(ScriptedPolicy(before=wait), ScriptedReward(), stopping=rules, clock=time)
        trajectory = await optimizer.optimize(QUERY)
        task = asyncio.current_task()
        assert task is not None
        return trajectory, task.cancelling()

    trajectory, cancelling = asyncio.run(main())
    assert (trajectory.status, trajectory.stop_reason, cancelling) == ("finished", "deadline", 0)


async def test_a_cancellation_from_outside_passes_through() -> None:
    never, asked = asyncio.Event(), asyncio.Event()

    async def wait(call: PolicyCall, index: int) -> None:
        asked.set()
        await never.wait()

    policy = ScriptedPolicy(before=wait)
    optimizer = Optimizer(policy, ScriptedReward(), stopping=[Deadline(9.0)])
    task = asyncio.create_task(optimizer.optimize(QUERY))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert policy.in_flight == 0


async def test_with_a_deadline_the_first_call_starts_before_anything_else_is_awaited() -> None:
    policy = ScriptedPolicy()
    optimizer = Optimizer(policy, ScriptedReward(), stopping=[Deadline(9.0)])
    coroutine = optimizer.optimize(QUERY)
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    assert policy.in_flight == 1
    await task


def test_a_method_that_ends_in_time_is_not_touched() -> None:
    assert late(Time(), ScriptedPolicy()).stop_reason == "max_iterations"


def test_a_deadline_must_be_above_zero() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        Deadline(0.0)


async def journaled(
    folder: Path, policy: ScriptedPolicy, time: Time, fallback: Fallback | None = None
) -> Trajectory:
    """Optimize with a deadline and a journal in *folder*, which a later attempt resumes."""
    journal = Journal(folder / "journal.jsonl")
    try:
        return await Optimizer(
            JournaledPolicy(policy, journal),
            JournaledReward(ScriptedReward(), journal),
            tpo(sample_size=2, max_iterations=3),
            stopping=[Deadline(10.0, sleep=time.sleep)],
            fallback=fallback,
            decisions=JournaledDecisions(journal),
            clock=time,
        ).optimize(QUERY)
    finally:
        await journal.close()


@pytest.mark.parametrize("inside", [True, False], ids=["inside a call", "before a step"])
async def test_a_resumed_run_repeats_the_decision_and_makes_no_call(tmp_path: Path, inside: bool) -> None:
    time, never = Time(), asyncio.Event()

    async def wait(call: PolicyCall, index: int) -> None:
        if call.scope.step == 1 and call.scope.phase == "update":
            time.pass_to(10.0) if inside else setattr(time, "now", 10.0)
            await (never.wait() if inside else asyncio.sleep(0))

    attempt = partial(journaled, tmp_path)
    first = await attempt(ScriptedPolicy(before=wait), time)
    again = ScriptedPolicy()
    second = await attempt(again, Time())
    assert first.stop_reason == second.stop_reason == "deadline"
    assert again.calls == []
    assert second.pool == first.pool
    assert second.steps == first.steps
    assert len(first.steps) == 1


async def test_a_resumed_run_repeats_a_stop_within_a_fallback(tmp_path: Path) -> None:
    time, never = Time(), asyncio.Event()

    async def wait(call: PolicyCall, index: int) -> None:
        if call.scope.step == 0 and call.sampling.seed % 1024:  # the draw is continued
            time.pass_to(10.0)
            await never.wait()

    attempt = partial(journaled, tmp_path, fallback=FALLBACKS["best-of-n"])
    script: Script = {"sample": "s", "loss": "l", "gradient": "g", "update": "no tag"}
    first = await attempt(ScriptedPolicy(script, before=wait), time)
    second = await attempt(again := ScriptedPolicy(script), Time())
    assert [(each.stop_reason, each.fallback) for each in (first, second)] == [("deadline", "best-of-n")] * 2
    assert (again.calls, second.pool) == ([], first.pool)


def test_rules_work_with_a_method_of_the_users_own() -> None:
    from tests.methods.test_attempt import two_critiques

    trajectory = run(two_critiques, stopping=[TargetReward(0.0)])
    assert (trajectory.stop_reason, trajectory.steps) == ("target_reward", ())


def stepwise(*best: int, rules: list[StoppingRule]) -> Trajectory:
    """First samples of 10 and 20 characters, then one update of each length of *best*."""
    script: dict[str | tuple[str, int], Reply] = {
        "sample": ["x" * 10, "x" * 20],
        "loss": "l",
        "gradient": "g",
    }
    for step, size in enumerate(best, 1):
        script["update", step] = improved("x" * size)
    method = tpo(sample_size=2, max_iterations=len(best))
    return Optimizer(ScriptedPolicy(script), ScriptedReward(), method, stopping=rules).run(QUERY)


@pytest.mark.parametrize(
    ("updates", "rule", "steps"),
    [
        ((30, 30, 30, 30), Plateau(1), 2),
        ((30, 30, 30, 30), Plateau(2), 3),
        ((20, 30, 40, 50), Plateau(1), 1),
        ((20, 30, 40, 50), Plateau(2), 4),
        ((30, 31, 32, 33), Plateau(1), 4),  # the deviation is 8 to 9: 1 is more than a tenth of it
        ((30, 31, 32, 33), Plateau(1, share=0.5), 2),
    ],
)
def test_a_plateau_is_steps_that_improve_the_best_by_less_than_a_share_of_the_spread(
    updates: tuple[int, ...], rule: Plateau, steps: int
) -> None:
    trajectory = stepwise(*updates, rules=[rule])
    assert len(trajectory.steps) == steps
    assert trajectory.stop_reason == ("plateau" if steps < 4 else "max_iterations")


def spending(rules: list[StoppingRule], usage: Usage) -> Trajectory:
    """Each call costs *usage*; a step has three calls."""

    def reply(call: PolicyCall, index: int) -> Completion:
        text = improved("update") if call.scope.phase == "update" else call.scope.phase
        return Completion(index, text, usage=usage)

    method = tpo(sample_size=1, max_iterations=3)
    return Optimizer(ScriptedPolicy(reply), ScriptedReward(), method, stopping=rules).run(QUERY)


@pytest.mark.parametrize(
    ("budget", "weights", "steps"),
    [
        (100, {}, 0),  # the first samples took 9 for 90 cached tokens and 100 written ones
        (110, {}, 1),  # the first step opens while anything is left
        (762, {}, 1),  # 109 + 327 are spent, and another 327 make 763
        (763, {}, 2),
        (763, {"cached": 1}, 1),  # 190 a call
        (100, {"completion": 0}, 3),  # 9 a call
    ],
)
def test_a_budget_stops_before_the_step_that_would_exceed_it(
    budget: int, weights: dict[str, float], steps: int
) -> None:
    usage = Usage(1, prompt_tokens=90, cached_tokens=90, completion_tokens=100)
    trajectory = spending([TokenBudget(budget, {"prompt": 0.0, **weights})], usage)
    assert len(trajectory.steps) == steps
    assert trajectory.stop_reason == ("token_budget" if steps < 3 else "max_iterations")


@pytest.mark.parametrize(
    "weights", [{"prompts": 1}, {"prompt": -1}, {"prompt": float("nan")}, {"cached": "x"}]
)
def test_weights_are_checked(weights: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="token-weights"):
        TokenBudget(100, weights)


async def test_a_resumed_run_repeats_what_a_budget_decided(tmp_path: Path) -> None:
    async def attempt(policy: ScriptedPolicy, rules: list[StoppingRule]) -> Trajectory:
        journal = Journal(tmp_path / "journal.jsonl")
        try:
            return await Optimizer(
                JournaledPolicy(policy, journal),
                JournaledReward(ScriptedReward(), journal),
                tpo(sample_size=2, max_iterations=3),
                stopping=rules,
                decisions=JournaledDecisions(journal),
            ).optimize(QUERY)
        finally:
            await journal.close()

    first = await attempt(ScriptedPolicy(), [TokenBudget(20)])
    again = ScriptedPolicy()
    second = await attempt(again, [])  # no rule speaks: the journal does
    assert first.stop_reason == second.stop_reason == "token_budget"
    assert (again.calls, second.steps) == ([], first.steps)


def test_the_expected_gain_is_the_chance_of_a_new_best_times_the_mean_excess_of_the_best() -> None:
    assert expected_gain([1.0, 7.0, 4.0, 2.0]) == pytest.approx(((7 + 4) / 2 - 2) / 5)
    assert expected_gain([0.0, 3.0]) == pytest.approx(3 / 3)
    nine = [9.0, 8.0, 4.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert expected_gain(nine) == pytest.approx((7 - 1) / 10)


def sampled(rewards: list[int], rule: StoppingRule, n: int) -> tuple[Trajectory, ScriptedPolicy]:
    policy = ScriptedPolicy({"sample": lambda call, i: "x" * rewards[call.sampling.seed % 1024 + i]})
    trajectory = Optimizer(policy, ScriptedReward(), bon(sample_size=n), stopping=[rule]).run(QUERY)
    return trajectory, policy


def test_first_samples_are_drawn_in_rounds_until_another_one_does_not_pay() -> None:
    rewards = [10, 12, 11, 10, 12, 12, 11, 10, 30, 30, 30, 30]
    # After 4: mean excess 1.5, so 0.3 expected, against a deviation of 0.957; after 8: 1 / 9 against 0.926.
    trajectory, policy = sampled(rewards, SampleCost(0.2), 12)
    assert [call.sampling.n for call in policy.calls] == [4, 4]
    assert trajectory.stop_reason == "sample_cost"
    assert [call.n for call in trajectory.first.calls] == [8]
    assert [len(c.text) for c in trajectory.pool] == rewards[:8]
    trajectory, policy = sampled(rewards, SampleCost(0.32), 12)
    assert [call.sampling.n for call in policy.calls] == [4]


@pytest.mark.parametrize(("iterations", "reason"), [(0, "sample_cost"), (1, "max_iterations")])
def test_the_end_of_a_draw_is_the_reason_where_no_step_follows(iterations: int, reason: str) -> None:
    method = tpo(sample_size=8, max_iterations=iterations)
    policy = ScriptedPolicy({"sample": "s", "loss": "l", "gradient": "g", "update": improved("u")})
    trajectory = Optimizer(policy, ScriptedReward(), method, stopping=[SampleCost(0.1)]).run(QUERY)
    assert (trajectory.stop_reason, len(trajectory.steps)) == (reason, iterations)
    assert len(trajectory.initial) == 4


def test_rounds_end_at_n_and_the_reason_is_then_the_methods_own_end() -> None:
    trajectory, policy = sampled(list(range(10, 16)), SampleCost(1e-9), 6)
    assert [call.sampling.n for call in policy.calls] == [4, 2]
    assert trajectory.stop_reason == "max_iterations"


def blank_at_first(n: int, *rules: StoppingRule, blank: int = 4) -> tuple[Trajectory, ScriptedPolicy]:
    """Return a draw of *n* first samples in rounds of four of which the first *blank* hold no text."""
    script: Script = {"sample": lambda call, i: "x" * max(0, call.sampling.seed % 1024 + i - blank + 1)}
    policy = ScriptedPolicy(script)
    optimizer = Optimizer(policy, ScriptedReward(), bon(sample_size=n), stopping=[SampleCost(1e-9), *rules])
    return optimizer.run(QUERY), policy


def test_a_round_of_blank_samples_is_followed_by_the_next_one() -> None:
    trajectory, policy = blank_at_first(10)
    assert (trajectory.status, trajectory.error) == ("finished", None)
    assert [call.sampling.n for call in policy.calls] == [4, 4, 2]
    assert [len(each.text) for each in trajectory.pool] == [1, 2, 3, 4, 5, 6]


def test_a_draw_fails_when_all_of_its_rounds_are_blank() -> None:
    trajectory, policy = blank_at_first(10, blank=10)
    assert [call.sampling.n for call in policy.calls] == [4, 4, 2]
    assert (trajectory.status, trajectory.stop_reason) == ("failed", "error")
    assert "no first sample holds a text; they are blank" in str(trajectory.error)


def test_a_rule_that_ends_a_draw_before_any_text_leaves_no_answer() -> None:
    trajectory, policy = blank_at_first(10, TokenBudget(1))
    assert [call.sampling.n for call in policy.calls] == [4]
    assert (trajectory.status, trajectory.stop_reason) == ("failed", "error")
    assert "no response was scored before it ended (token_budget)" in str(trajectory.error)


def test_other_rules_are_asked_between_rounds() -> None:
    policy = ScriptedPolicy({"sample": "x" * 9})
    rules: list[StoppingRule] = [SampleCost(1e-9), TargetReward(9.0)]
    trajectory = Optimizer(policy, ScriptedReward(), bon(sample_size=8), stopping=rules).run(QUERY)
    assert (trajectory.stop_reason, len(trajectory.pool)) == ("target_reward", 4)


def test_equal_rewards_need_no_further_sample() -> None:
    assert SampleCost(0.01).is_worth_no_more([1.0, 1.0])
    assert not SampleCost(0.01).is_worth_no_more([1.0])


def test_settings_build_the_rules_and_a_rule_of_the_users_own() -> None:
    settings = Settings(
        target_reward=1.0,
        plateau=2,
        plateau_share=0.2,
        token_budget=9,
        token_weights={"cached": 1},
        sample_cost=0.1,
        stop={"tpo.methods.stopping:TargetReward": 5.0},
    )
    assert stopping_rules(settings) == (
        TargetReward(1.0),
        Plateau(2, 0.2),
        TokenBudget(9, {"cached": 1}),
        SampleCost(0.1),
        TargetReward(5.0),
    )
    assert stopping_identity(settings) == {
        "target_reward": 1.0,
        "plateau": [2, 0.2],
        "token_budget": [9, {"cached": 1}],
        "sample_cost": 0.1,
        "stop": {"tpo.methods.stopping:TargetReward": 5.0},
    }
    assert stopping_identity(Settings()) == {}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (Settings(stop={"nonesuch": 1}), "--stop nonesuch: unknown"),
        (Settings(stop={"tpo.methods.stopping:is_journaled": 1, "deadline": "x"}), "--stop deadline"),
        (Settings(token_weights={"cached": 1}), "--token-budget, which is not set"),
    ],
)
def test_rules_that_do_not_fit_are_refused(settings: Settings, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        stopping_rules(settings)
