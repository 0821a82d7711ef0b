"""Stopping rules: the target of a reward, the deadline, and a resumed run that repeats its decision."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.methods.own import QUERY, run
from tpo.errors import ConfigError
from tpo.methods.catalog import tpo
from tpo.methods.optimize import Optimizer
from tpo.methods.stopping import Deadline, TargetReward
from tpo.policies.scripted import PolicyCall, ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.store.journal import Journal
from tpo.store.journaled_models import JournaledDecisions, JournaledPolicy, JournaledReward
from tpo.types import Trajectory


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


@pytest.mark.parametrize("inside", [True, False], ids=["inside a call", "before a step"])
async def test_a_resumed_run_repeats_the_decision_and_makes_no_call(tmp_path: Path, inside: bool) -> None:
    time, never = Time(), asyncio.Event()

    async def wait(call: PolicyCall, index: int) -> None:
        if call.scope.step == 1 and call.scope.phase == "update":
            time.pass_to(10.0) if inside else setattr(time, "now", 10.0)
            await (never.wait() if inside else asyncio.sleep(0))

    async def attempt(policy: ScriptedPolicy, time: Time) -> Trajectory:
        journal = Journal(tmp_path / "journal.jsonl")
        try:
            return await Optimizer(
                JournaledPolicy(policy, journal),
                JournaledReward(ScriptedReward(), journal),
                tpo(sample_size=2, max_iterations=3),
                stopping=[Deadline(10.0, sleep=time.sleep)],
                decisions=JournaledDecisions(journal),
                clock=time,
            ).optimize(QUERY)
        finally:
            await journal.close()

    first = await attempt(ScriptedPolicy(before=wait), time)
    again = ScriptedPolicy()
    second = await attempt(again, Time())
    assert first.stop_reason == second.stop_reason == "deadline"
    assert again.calls == []
    assert second.pool == first.pool
    assert second.steps == first.steps
    assert len(first.steps) == 1


def test_rules_work_with_a_method_of_the_users_own() -> None:
    from tests.methods.test_attempt import two_critiques

    trajectory = run(two_critiques, stopping=[TargetReward(0.0)])
    assert (trajectory.stop_reason, trajectory.steps) == ("target_reward", ())
