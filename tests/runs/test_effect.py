"""Warnings where a method has no effect, does harm, or exploits its reward."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.steps import first_step, tpo_step
from tpo.events import Event, RunWarned
from tpo.methods.catalog import tpo
from tpo.policies.scripted import Script, ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.runs import run_queries
from tpo.runs.effect import Effect, EffectTally, effect_of
from tpo.runs.summary import Summary
from tpo.store.directory import RunDirectory
from tpo.types import (
    Candidate,
    Pair,
    Query,
    Reply,
    RewardUsage,
    Score,
    Timing,
    Trajectory,
    Usage,
    user,
)


def trajectory(
    first: list[float], updates: list[float], unreadable: int = 0, checks: dict[float, float] | None = None
) -> Trajectory:
    def candidates(step: int, rewards: list[float]) -> tuple[Candidate, ...]:
        scores = [Score(reward, check=(checks or {}).get(reward)) for reward in rewards]
        return tuple(Candidate(step, i, str(score.value), score) for i, score in enumerate(scores))

    drawn = candidates(0, first)
    lost = [Reply(len(updates) + i, "no tag") for i in range(unreadable)]
    step = tpo_step(1, Pair(drawn[0], None), candidates(1, updates), lost)
    usage = {"sample": Usage(1, 10, 0, 90), "update": Usage(1, 100, 0, 200)}
    query = Query("q", (user("?"),))
    return Trajectory(
        query, "tpo", first_step(drawn), (step,), "finished", "max_iterations", None, usage,
        RewardUsage(), Timing(0.0, 1.0),
    )  # fmt: skip


def effect(*trajectories: Trajectory) -> Effect:
    tally = EffectTally()
    for each in trajectories:
        tally.add(each)
    return tally.effect()


def test_a_method_without_a_readable_update_equals_best_of_n() -> None:
    found = effect_of(trajectory([1.0, 2.0], [], unreadable=5))
    assert found.warnings() == {
        "no_update": "no update could be read in 1 of 1 query (0 of 5 updates were readable): there this"
        " equals best-of-2 at 4.0 times the tokens; use a model that follows the format or --method bon"
    }


def test_a_fallback_is_suggested_only_where_a_second_step_leaves_it_a_budget() -> None:
    one = trajectory([1.0, 2.0], [], unreadable=5)
    two = replace(one, steps=(one.steps[0], replace(one.steps[0], number=2)))
    assert effect_of(two).warnings()["no_update"].endswith("the format, --method bon, or --fallback")
    assert "--fallback" not in effect_of(one).warnings()["no_update"]


def test_tokens_of_first_samples_are_those_of_their_calls() -> None:
    one = trajectory([1.0, 2.0], [3.0])
    assert effect_of(one).first_tokens == 100  # a record of schema 1: by phase
    counted = replace(one, first=first_step(one.initial, Usage(1, 10, 0, 30)))
    assert effect_of(counted).first_tokens == 40


@pytest.mark.parametrize(("lost", "kinds"), [(5, {"no_update"}), (4, set())])
def test_half_of_the_queries_without_an_update_are_a_warning(lost: int, kinds: set[str]) -> None:
    without = [trajectory([1.0, 2.0], [], 5)] * lost
    assert effect(*without, *[trajectory([1.0, 2.0], [3.0, 4.0])] * (10 - lost)).warnings().keys() == kinds


@pytest.mark.parametrize(
    ("unchanged", "changed", "kinds"),
    [(9, 1, {"unchanged"}), (8, 2, set()), (8, 0, set()), (10, 0, {"unchanged"})],
)
def test_an_unchanged_best_in_nine_of_ten_queries_is_a_warning(
    unchanged: int, changed: int, kinds: set[str]
) -> None:
    same, better = trajectory([1.0, 3.0], [2.0]), trajectory([1.0, 3.0], [4.0])
    found = effect(*[same] * unchanged, *[better] * changed).warnings()
    assert found.keys() == kinds
    if kinds:
        assert f"is a first sample in {unchanged} of 10 queries" in found["unchanged"]
        assert "best-of-2 at 4.0 times the tokens" in found["unchanged"]


def test_updates_below_the_first_samples_are_a_warning_only_beyond_chance() -> None:
    lower = [trajectory([2.0, 2.0], [1.0 + 0.01 * i, 9.0]) for i in range(10)]
    assert effect(*lower).updates_gain.mean == pytest.approx(3.0225)
    falling = [trajectory([2.0, 2.0], [0.5 + 0.01 * i, 2.5]) for i in range(10)]
    found = effect(*falling)
    assert found.warnings().keys() == {"falling"}
    assert found.warnings()["falling"].startswith(
        "updates have a lower reward than first samples, by 0.478 on average"
    )
    noisy = [trajectory([2.0, 2.0], [2.5 + (-1) ** i * 3]) for i in range(10)]
    noisy[0] = trajectory([2.0, 2.0], [-9.0])
    assert effect(*noisy).updates_gain.mean < 0
    assert "falling" not in effect(*noisy).warnings()


def test_a_falling_check_reward_beside_a_rising_one_is_over_optimization() -> None:
    def queries(check_after: float, after: float = 3.0) -> list[Trajectory]:
        return [
            trajectory([1.0, 2.0], [after], checks={2.0: 5.0, after: check_after + 0.01 * i})
            for i in range(10)
        ]

    found = effect(*queries(4.0)).warnings()
    assert found["over_optimization"].startswith(
        "the guiding reward rose by 1 and the check reward fell by 0.955"
    )
    assert "over_optimization" not in effect(*queries(6.0)).warnings()
    assert "over_optimization" not in effect(*queries(4.0)[:9]).warnings()


def test_queries_without_steps_have_no_say() -> None:
    only_first = effect_of(trajectory([1.0], []))
    assert only_first == Effect()
    assert only_first.warnings() == {}


async def run_with(
    path: Path, script: Script, queries: int, listener: list[Event], iterations: int = 1
) -> Summary:
    async with RunDirectory.open(path, configuration={}, fingerprint={}) as directory:
        return await run_queries(
            [Query(f"q{i}", (user(f"question {i}"),)) for i in range(queries)],
            ScriptedPolicy(script),
            ScriptedReward(),
            tpo(sample_size=2, max_iterations=iterations),
            directory,
            concurrency=1,
            listener=listener.append,
        )


async def test_a_run_under_way_warns_once_at_ten_queries(tmp_path: Path) -> None:
    events: list[Event] = []
    script = {"sample": ["a", "bb"], "loss": "l", "gradient": "g", "update": "no tags"}
    summary = await run_with(tmp_path, script, 25, events)  # type: ignore[arg-type]
    warned = [event for event in events if isinstance(event, RunWarned)]
    assert [event.kind for event in warned] == ["no_update"]
    assert "in 10 of 10 queries (0 of 20 updates" in warned[0].text
    assert "in 25 of 25 queries (0 of 50 updates" in summary.warnings[0]
    assert summary.record()["effect"]["without_update"] == 25


async def test_a_run_with_effect_does_not_warn(tmp_path: Path) -> None:
    events: list[Event] = []
    script = {"sample": ["a", "bb"], "loss": "l", "gradient": "g", "update": improved("longer")}
    summary = await run_with(tmp_path, script, 12, events)  # type: ignore[arg-type]
    assert not [event for event in events if isinstance(event, RunWarned)]
    assert summary.warnings == ()
