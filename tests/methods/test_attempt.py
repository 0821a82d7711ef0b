"""What a method may do: places of calls, branches, pools, continued draws, the record of a step."""

from __future__ import annotations

import asyncio

import pytest

from tests.methods.own import PROMPT, QUERY, run
from tpo.errors import PolicyError
from tpo.events import CritiqueWritten, Event, PairChosen
from tpo.methods.attempt import Attempt
from tpo.methods.branch import Branch
from tpo.methods.seeds import base_seed
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved
from tpo.rewards.scripted import RewardCall, ScriptedReward
from tpo.types import Scope


async def two_critiques(attempt: Attempt) -> None:
    """Two branches of a loss, then a gradient, then an update each."""

    async def critique(branch: Branch) -> None:
        await branch.ask("loss", PROMPT)
        await branch.ask("gradient", PROMPT)
        await branch.sample("update", PROMPT, n=2)

    await attempt.sample(PROMPT, n=2)
    async with attempt.step() as step:
        await step.gather(critique(step.branch(1)), critique(step.branch(2)))


def first_ends(branch: int) -> ScriptedPolicy:
    """A policy in which the loss of *branch* ends before the other branch's."""
    ended = asyncio.Event()

    async def wait(call: PolicyCall, index: int) -> None:
        if call.scope.phase == "gradient":
            ended.set()
        elif call.scope.phase == "loss" and call.scope.branch != branch:
            await ended.wait()

    return ScriptedPolicy(before=wait)


def test_two_branches_get_the_same_seeds_and_pool_whichever_loss_ends_first() -> None:
    policies = [first_ends(1), first_ends(2)]
    one, other = (run(two_critiques, policy) for policy in policies)
    orders = [[(call.scope.phase, call.scope.branch) for call in policy.calls] for policy in policies]
    assert orders[0] != orders[1], "the branches ran in both orders"
    seeds = [{call.scope: call.sampling.seed for call in policy.calls} for policy in policies]
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0].values())) == len(seeds[0]) == 7
    assert one.pool == other.pool
    assert one.steps == other.steps


def test_branches_join_in_the_order_of_their_places() -> None:
    (step,) = run(two_critiques, first_ends(2)).steps
    assert [(call.branch, call.phase) for call in step.calls] == [
        (1, "loss"),
        (1, "gradient"),
        (1, "update"),
        (2, "loss"),
        (2, "gradient"),
        (2, "update"),
    ]
    assert [c.id for c in step.candidates] == [
        "1.0-update.1.0",
        "1.1-update.1.0",
        "1.0-update.2.0",
        "1.1-update.2.0",
    ]


def test_a_branch_sees_the_pool_as_it_was_when_it_opened_and_its_own() -> None:
    seen: dict[str, list[str]] = {}

    async def steps(attempt: Attempt) -> None:
        await attempt.sample(PROMPT, n=1)
        async with attempt.step() as step:
            await step.sample("update", PROMPT, n=1)
            early = step.branch(1)
            await step.branch(2).sample("update", PROMPT, n=1)
            await early.sample("update", PROMPT, n=1)
            seen["early"] = [c.id for c in early.pool]
            seen["step"] = [c.id for c in step.pool]

    run(steps)
    assert seen["early"] == ["0.0", "1.0", "1.0-update.1.0"]
    assert seen["step"] == ["0.0", "1.0", "1.0-update.1.0", "1.0-update.2.0"]


def test_ordinals_count_the_calls_of_a_phase_in_a_branch() -> None:
    async def steps(attempt: Attempt) -> None:
        await attempt.sample(PROMPT, n=1)
        async with attempt.step() as step:
            for _ in range(2):
                await step.ask("loss", PROMPT)
                await step.sample("update", PROMPT, n=1)
            await step.branch(1).ask("loss", PROMPT)

    policy = ScriptedPolicy()
    trajectory = run(steps, policy)
    places = [(c.scope.branch, c.scope.phase, c.scope.ordinal) for c in policy.calls]
    assert places == [
        (0, "sample", 0),
        (0, "loss", 0),
        (0, "update", 0),
        (0, "loss", 1),
        (0, "update", 1),
        (1, "loss", 0),
    ]
    assert len({call.sampling.seed for call in policy.calls}) == 6
    assert [c.id for c in trajectory.pool] == ["0.0", "1.0", "1.0-update.0.1"]


def test_a_draw_is_continued_as_the_same_call() -> None:
    async def steps(attempt: Attempt) -> None:
        first = await attempt.sample(PROMPT, n=3)
        more = await attempt.sample(PROMPT, n=2, start=3)
        assert [c.id for c in first + more] == ["0.0", "0.1", "0.2", "0.3", "0.4"]

    policy, reward = ScriptedPolicy(), ScriptedReward()
    trajectory = run(steps, policy, reward)
    base = base_seed(7, Scope("q7", 0, "sample"), 3)
    assert [(c.sampling.n, c.sampling.seed) for c in policy.calls] == [(3, base), (2, base + 3)]
    assert [call.scope.index for call in reward.calls] == [0, 1, 2, 3, 4]
    (call,) = trajectory.first.calls
    assert (call.n, call.seed, call.usage.calls) == (5, base, 2)


@pytest.mark.parametrize(("start", "prompt"), [(2, PROMPT), (3, QUERY.messages)])
def test_a_draw_that_was_not_made_so_cannot_be_continued(start: int, prompt: object) -> None:
    async def steps(attempt: Attempt) -> None:
        await attempt.sample(PROMPT, n=3)
        await attempt.sample(prompt, n=1, start=start)  # type: ignore[arg-type]

    trajectory = run(steps)
    assert trajectory.error is not None
    assert "to continue" in trajectory.error


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("outside", "a call was made outside of its step"),
        ("nested", "while another one was open"),
        ("twice", "branch 1 cannot be opened"),
        ("zero", "branch 0 cannot be opened"),
        ("phase", "phase 'reward'"),
        ("none", "n=0"),
    ],
)
def test_a_methods_fault_ends_its_query_with_the_step_and_the_fault(fault: str, says: str) -> None:
    async def steps(attempt: Attempt) -> None:
        await attempt.sample(PROMPT, n=1)
        async with attempt.step() as step:
            match fault:
                case "nested":
                    async with attempt.step():
                        pass
                case "twice":
                    step.branch(1)
                    step.branch(1)
                case "zero":
                    step.branch(0)
                case "phase":
                    await step.ask("reward", PROMPT)
                case "none":
                    await step.sample("update", PROMPT, n=0)
        await step.ask("late", PROMPT)

    trajectory = run(steps)
    assert trajectory.status == "failed"
    assert trajectory.error is not None
    assert trajectory.error.startswith("query 'q7', step ")
    assert says in trajectory.error


def test_the_record_tells_prompt_seed_role_parents_and_unreadable_replies() -> None:
    async def steps(attempt: Attempt) -> None:
        (only,) = await attempt.sample(PROMPT, n=1)
        async with attempt.step() as step:
            await step.ask("plan", PROMPT, role="planner")
            await step.sample("update", PROMPT, n=2, parents=[only])

    script = {"sample": "draft", "plan": "a plan", "update": [improved("better"), "no tags"]}
    policy = ScriptedPolicy(script)  # type: ignore[arg-type]
    trajectory = run(steps, policy)
    plan, update = trajectory.steps[0].calls
    assert (plan.phase, plan.role, plan.text, plan.reads) == ("plan", "planner", "a plan", False)
    assert plan.messages == PROMPT
    assert [c.seed for c in (plan, update)] == [c.sampling.seed for c in policy.calls[1:]]
    assert plan.request != update.request != ""
    assert [(r.index, r.text) for r in update.replies] == [(1, "no tags")]
    assert [c.parents for c in trajectory.steps[0].candidates] == [("0.0",)]
    assert trajectory.usage["plan"].calls == 1


def test_a_contrast_is_recorded_and_announced_and_a_critique_too() -> None:
    async def steps(attempt: Attempt) -> None:
        await attempt.sample(PROMPT, n=2)
        async with attempt.step() as step:
            step.contrast()
            await step.ask("loss", PROMPT)

    heard: list[Event] = []
    (step,) = run(steps, ScriptedPolicy({"sample": ["a", "bbb"], "loss": "why"}), listener=heard.append).steps
    assert step.pair is not None
    assert (step.pair.chosen.id, step.pair.rejected and step.pair.rejected.id) == ("0.1", "0.0")
    assert [event.pair for event in heard if isinstance(event, PairChosen)] == [step.pair]
    assert [event.call.text for event in heard if isinstance(event, CritiqueWritten)] == ["why"]


def test_a_failing_branch_cancels_the_others_and_what_was_there_is_recorded() -> None:
    never = asyncio.Event()

    async def wait(call: PolicyCall, index: int) -> None:
        if call.scope.branch == 2:
            await never.wait()

    failures = {Scope("q7", 1, "gradient", branch=1): PolicyError("gone")}
    policy = ScriptedPolicy(before=wait, failures=failures)
    trajectory = run(two_critiques, policy)
    assert trajectory.error == "gone"
    assert policy.in_flight == 0
    (step,) = trajectory.steps
    assert [(call.branch, call.phase) for call in step.calls] == [(1, "loss")]


def test_scores_of_branches_stand_under_places_of_their_own() -> None:
    heard: list[Scope] = []

    async def note(call: RewardCall) -> None:
        heard.append(call.scope)

    run(two_critiques, reward=ScriptedReward(before=note))
    assert len(heard) == len(set(heard)) == 6


def test_a_method_may_stop_with_a_reason_of_its_own() -> None:
    async def steps(attempt: Attempt) -> None:
        await attempt.sample(PROMPT, n=1)
        attempt.stop("converged")

    trajectory = run(steps)
    assert (trajectory.status, trajectory.stop_reason) == ("finished", "converged")


def test_a_method_that_draws_nothing_fails_with_that_reason() -> None:
    async def steps(attempt: Attempt) -> None:
        del attempt

    assert "no response was scored" in str(run(steps).error)


def test_other_sampling_values_keep_the_place_of_the_call() -> None:
    async def steps(attempt: Attempt) -> None:
        await attempt.sample(PROMPT, n=1)
        async with attempt.step() as step:
            await step.ask("loss", PROMPT, n=2, sampling=attempt.sampling)

    policy = ScriptedPolicy()
    run(steps, policy)
    asked = policy.calls[1].sampling
    assert (asked.n, asked.top_p, asked.seed) == (2, 0.95, base_seed(7, Scope("q7", 1, "loss"), 2))


def test_random_numbers_are_those_of_the_place_and_the_seed() -> None:
    drawn: list[float] = []

    async def draw(attempt: Attempt) -> None:
        await attempt.sample(PROMPT, n=1)
        async with attempt.step() as step:
            drawn.extend((step.random("a").random(), step.random("b").random()))
            drawn.append(step.branch(1).random("a").random())

    for seed in (7, 7, 8):
        run(draw, seed=seed)
    assert drawn[:3] == drawn[3:6]
    assert len(set(drawn)) == 6
