from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.sweep.scripted import carried_out, models, plan, trajectories
from tests.report.runs import chance
from tpo.experiments.sweep.arms import average_seeds, largest_pools, make_arms, query_result
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.store import read_trajectories
from tpo.types import Candidate


def say(call: PolicyCall, index: int) -> str:
    """Four words a text, six more in an update; the reward is the number in it."""
    text = f"one two three {call.scope.step + index + 10 * (call.sampling.seed % 7)}"
    return improved(text) if call.scope.phase == "update" else text


def score(text: str) -> float:
    return float(text.split()[-1].split("<")[0])


def test_a_row_tells_what_was_reached_and_spent_step_by_step(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("tpo",), samples=(3,), iterations=(2,), queries=1)
    carried_out(of, models(of, ScriptedPolicy(say), dict.fromkeys(of.rewards, ScriptedReward(score))))
    (trajectory,) = trajectories(of, of.cells[0])
    row = query_result(trajectory, 2)
    assert row.first == trajectory.initial[0].reward
    assert row.best == (max(c.reward for c in trajectory.initial), *_bests(trajectory.pool, 2))
    # Three samples, then a loss, a gradient and three updates a step.
    assert row.calls == (3.0, 8.0, 13.0)
    assert row.written[0] == 12.0
    written = sum(usage.completion_tokens for usage in trajectory.usage.values())
    assert row.written[-1] == pytest.approx(written)
    read = sum(usage.prompt_tokens for usage in trajectory.usage.values())
    assert row.read[-1] == pytest.approx(read)
    assert row.cached == (0.0, 0.0, 0.0)


def test_best_of_n_counts_the_blank_samples_that_it_draws(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("bon",), samples=(4,), iterations=(0,), queries=1)
    policy = ScriptedPolicy(lambda call, index: " " if index in (0, 2) else f"one two three {index}")
    carried_out(of, models(of, policy, dict.fromkeys(of.rewards, ScriptedReward(score))))
    (trajectory,) = trajectories(of, of.cells[0])
    row = query_result(trajectory, 0, lambda query, text: -score(text))
    # Of four samples, those with texts have the rewards 1 and 3; a draw without a text counts for nothing.
    assert row.best_of == pytest.approx((2.0, (3 * 3 + 2 * 1) / 5, 3 * 3 / 4 + 1 / 4, 3.0))
    assert row.check_best_of == pytest.approx(tuple(-value for value in row.best_of))
    (arm,) = make_arms(of.cells, of.queries, lambda cell: trajectories(of, cell))
    assert arm.pool_size == 4


def test_cached_tokens_are_counted_by_step(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("tpo",), samples=(3,), queries=1)
    carried_out(of, models(of, ScriptedPolicy(say), dict.fromkeys(of.rewards, ScriptedReward(score))))
    (trajectory,) = trajectories(of, of.cells[0])
    update = replace(trajectory.usage["update"], cached_tokens=9)
    (step,) = trajectory.steps
    calls = tuple(replace(c, usage=update) if c.phase == "update" else c for c in step.calls)
    cached = replace(
        trajectory,
        usage={**trajectory.usage, "update": update},
        steps=(replace(step, calls=calls),),
    )
    assert query_result(cached, 1).cached == (0.0, 9.0)
    assert average_seeds([query_result(cached, 1), query_result(trajectory, 1)]).cached == (0.0, 4.5)


def test_tokens_are_counted_by_role_and_step(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("tpo",), samples=(3,), iterations=(2,), queries=1)
    carried_out(of, models(of, ScriptedPolicy(say), dict.fromkeys(of.rewards, ScriptedReward(score))))
    (trajectory,) = trajectories(of, of.cells[0])
    row = query_result(trajectory, 3)
    assert row.by_role.keys() == {"writer", "critic", "editor"}
    of_all = [tuple(map(sum, zip(*step, strict=True))) for step in zip(*row.by_role.values(), strict=True)]
    assert of_all == [pytest.approx(each) for each in zip(row.read, row.written, row.cached, strict=True)]
    assert row.by_role["critic"][0] == (0.0, 0.0, 0.0)
    assert row.by_role["critic"][1][1] < row.by_role["critic"][2][1] == row.by_role["critic"][3][1]
    mean = average_seeds([row, replace(row, by_role={"writer": row.by_role["writer"]})])
    assert mean.by_role["writer"] == row.by_role["writer"]
    assert mean.by_role["critic"][3][1] == row.by_role["critic"][3][1] / 2


def _bests(pool: Sequence[Candidate], depth: int) -> list[float]:
    return [max(c.reward for c in pool if c.step <= step) for step in range(1, depth + 1)]


def test_a_query_that_stopped_early_keeps_its_best_and_its_cost(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("tpo",), samples=(2,), iterations=(3,), queries=1)
    unreadable = ScriptedPolicy(
        {"sample": ["one 1", "two 2"], "loss": "a", "gradient": "b", "update": "no tags"}
    )
    carried_out(of, models(of, unreadable, dict.fromkeys(of.rewards, ScriptedReward(score))))
    (trajectory,) = trajectories(of, of.cells[0])
    row = query_result(replace(trajectory, steps=trajectory.steps[:1]), 3)
    assert row.best == (2.0, 2.0, 2.0, 2.0)
    assert row.calls == (2.0, 6.0, 6.0, 6.0)
    assert query_result(trajectory, 3).calls == (2.0, 6.0, 10.0, 14.0)


def test_seeds_are_averaged_by_query_and_only_whole_queries_count(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("bon",), samples=(2,), seeds=(1, 2), queries=3)
    carried_out(of)
    first, second = (trajectories(of, cell) for cell in of.cells)
    there = {of.cells[0]: first, of.cells[1]: second[:2]}
    (arm,) = make_arms(of.cells, of.queries, lambda cell: there[cell])
    assert (list(arm.results), arm.missing, arm.seeds) == (["q0", "q1"], 1, (1, 2))
    answers = [t.best.reward for t in (first[0], second[0]) if t.best is not None]
    assert arm.results["q0"].answer == pytest.approx(sum(answers) / 2)


def test_a_failed_query_is_in_no_mean(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("bon",), samples=(2,), queries=2)
    carried_out(of)
    good, bad = trajectories(of, of.cells[0])
    (arm,) = make_arms(of.cells, of.queries, lambda cell: [good, replace(bad, status="failed")])
    assert (list(arm.results), arm.missing) == (["q0"], 1)


def test_held_out_scores_count_where_every_seed_has_them(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("tpo",), samples=(2,), queries=1)
    carried_out(of)
    (trajectory,) = trajectories(of, of.cells[0])
    whole = query_result(trajectory, 1, lambda query, text: chance(text))
    assert whole.check_first == chance(trajectory.initial[0].text)
    assert len(whole.check) == 2
    assert whole.check_best_of[-1] == pytest.approx(whole.check[0]), "the best of all samples is step 0's"
    assert whole.check_best_of[0] == pytest.approx(sum(chance(each.text) for each in trajectory.initial) / 2)
    without = query_result(trajectory, 1, lambda query, text: None)
    assert (without.check, without.check_first) == ((), None)
    assert average_seeds([whole, without]).check == ()
    assert average_seeds([whole, whole]).check == pytest.approx(whole.check)


def test_the_widest_pool_is_one_for_each_way_to_draw(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("tpo", "bon", "paper-bon"), samples=(2, 3), queries=1)
    carried_out(of)
    arms = make_arms(of.cells, of.queries, lambda cell: read_trajectories(of.path(cell)))
    assert [(arm.method_name, arm.n) for arm in largest_pools(arms)] == [("tpo", 3), ("paper-bon", 3)]
