"""Replay of recorded calls: the same record without calls; what differs or is incomplete is asked anew."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from tests.methods.own import PROMPT, QUERY, Own, Steps
from tpo.errors import RewardError
from tpo.events import CandidateScored, Event, UpdateMalformed
from tpo.methods.attempt import Attempt
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.store.trajectory_line import decode_trajectory, encode_trajectory
from tpo.types import Messages, Reply, Scope, Timing, Trajectory, Usage, user


async def branched(attempt: Attempt) -> None:
    """Two branches of a critique and updates; the draw of the first samples is continued."""
    await attempt.sample(PROMPT, n=2)
    await attempt.sample(PROMPT, n=2, start=2)
    async with attempt.step() as step:
        branches = [step.branch(number) for number in (1, 2)]
        critiques = await step.gather(*(branch.ask("loss", PROMPT) for branch in branches))
        await step.gather(
            *(
                branch.sample("update", (*PROMPT, user(critique.text)), n=2)
                for branch, critique in zip(branches, critiques, strict=True)
            )
        )


def script(phase: str, index: int) -> str:
    return improved(f"better {index}") if phase == "update" and index else f"{phase} {index}"


class Run:
    """One query, optimized by *steps* with *earlier* to replay."""

    def __init__(
        self,
        steps: Steps = branched,
        earlier: Trajectory | None = None,
        failures: Mapping[Scope | str, Exception] = MappingProxyType({}),
    ) -> None:
        self.policy = ScriptedPolicy(lambda call, index: script(call.scope.phase, index))
        self.reward = ScriptedReward(failures=dict(failures))
        self.heard: list[Event] = []
        optimizer = Optimizer(self.policy, self.reward, Own(steps=steps), listener=self.heard.append)
        self.trajectory = asyncio.run(optimizer.optimize(QUERY, earlier=earlier))

    def count(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for event in self.heard)


FIRST = Run()


def test_a_replayed_trajectory_is_the_recorded_one() -> None:
    again = Run(earlier=FIRST.trajectory)
    assert again.policy.calls == []
    assert again.reward.calls == []
    assert replace(again.trajectory, timing=Timing(0, 0)) == replace(FIRST.trajectory, timing=Timing(0, 0))
    for kind in (CandidateScored, UpdateMalformed):
        assert again.count(kind) == FIRST.count(kind) > 0


def test_a_continued_draw_has_the_usage_of_its_parts() -> None:
    seen: list[Usage] = []

    async def continued(attempt: Attempt) -> None:
        await attempt.sample(PROMPT, n=2)
        seen.append(attempt.usage)
        await attempt.sample(PROMPT, n=2, start=2)
        seen.append(attempt.usage)

    first = Run(continued).trajectory
    recorded = decode_trajectory(encode_trajectory(first))
    assert recorded.first == first.first
    Run(continued, recorded)
    assert seen[:2] == seen[2:]
    assert seen[0] != seen[1]


def test_a_record_without_the_usage_of_parts_has_it_at_the_first() -> None:
    first = FIRST.trajectory.first
    calls = tuple(replace(call, draws=()) for call in first.calls)
    again = Run(earlier=replace(FIRST.trajectory, first=replace(first, calls=calls)))
    assert again.trajectory.usage == FIRST.trajectory.usage
    assert again.trajectory.first.calls == calls


def lose_a_score(trajectory: Trajectory) -> Trajectory:
    (step,) = trajectory.steps
    candidates = (replace(step.candidates[0], score=None), *step.candidates[1:])
    return replace(trajectory, steps=(replace(step, candidates=candidates),))


def lose_a_reply(trajectory: Trajectory) -> Trajectory:
    (step,) = trajectory.steps
    first, *rest = (call for call in step.calls if call.reads)
    critiques = tuple(call for call in step.calls if not call.reads)
    calls = (*critiques, replace(first, replies=()), *rest)
    return replace(trajectory, steps=(replace(step, calls=calls),))


def test_a_response_without_a_score_is_scored_again_and_no_call_is_made() -> None:
    recorded = lose_a_score(FIRST.trajectory)
    again = Run(earlier=recorded)
    assert again.policy.calls == []
    assert [call.response for call in again.reward.calls] == [recorded.steps[0].candidates[0].text]
    assert again.trajectory.pool == FIRST.trajectory.pool


def test_a_response_that_still_has_no_score_keeps_none() -> None:
    recorded = lose_a_score(FIRST.trajectory)
    again = Run(earlier=recorded, failures={Scope(QUERY.id, 1, "reward", 1, 1): RewardError("too long")})
    assert again.policy.calls == []
    assert [step.candidates for step in again.trajectory.steps] == [
        step.candidates for step in recorded.steps
    ]


def test_a_call_that_is_incomplete_is_made_again_and_no_other() -> None:
    again = Run(earlier=lose_a_reply(FIRST.trajectory))
    assert [(call.scope.branch, call.scope.phase) for call in again.policy.calls] == [(1, "update")]
    assert again.trajectory.pool == FIRST.trajectory.pool


def test_a_call_with_another_prompt_is_made_again() -> None:
    async def changed(attempt: Attempt) -> None:
        prompt: Messages = (user("another prompt"),)
        await attempt.sample(prompt, n=4)

    again = Run(changed, FIRST.trajectory)
    assert len(again.policy.calls) == 1


def test_a_record_without_request_hashes_answers_nothing() -> None:
    def without(trajectory: Trajectory) -> Trajectory:
        first = trajectory.first
        return replace(
            trajectory, first=replace(first, calls=tuple(replace(call, request="") for call in first.calls))
        )

    again = Run(earlier=without(FIRST.trajectory))
    assert {call.scope.phase for call in again.policy.calls} == {"sample"}


def test_the_record_of_the_test_has_what_it_tests() -> None:
    assert FIRST.trajectory.error is None
    assert any(isinstance(reply, Reply) for reply in FIRST.trajectory.steps[0].unreadable)
    assert {candidate.call for candidate in FIRST.trajectory.steps[0].candidates} == {
        "update.1.0",
        "update.2.0",
    }
