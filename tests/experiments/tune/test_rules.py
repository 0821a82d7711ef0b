"""Stopping rules that are compared by replay: each gives the result of a real run with the rule."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.sweep.scripted import models, plan
from tpo.config import Settings, stopping_rules
from tpo.experiments.sweep.arms import make_arms
from tpo.experiments.sweep.costs import TOKENS
from tpo.experiments.sweep.curves import cost_at
from tpo.experiments.sweep.plan import SweepPlan
from tpo.experiments.sweep.run_cells import run_cells
from tpo.experiments.tune.configurations import FOLDS, Configuration
from tpo.experiments.tune.rules import replayed, sampled_until
from tpo.methods.stopping import SampleCost
from tpo.policies.scripted import ScriptedPolicy
from tpo.types import Trajectory

Runs = dict[str, Trajectory]


def recorded(of: SweepPlan) -> Runs:
    assert not asyncio.run(run_cells(of, of.incomplete_cells(), models(of)))
    return {run.query.id: run for run in of.finished_trajectories(of.cells[0])}


def test_a_replayed_rule_has_cost_and_score_of_a_run_with_it(tmp_path: Path) -> None:
    of = plan(tmp_path / "deep", methods=("tpo",), samples=(3,), iterations=(3,), queries=15)
    runs = recorded(of)
    (arm,) = make_arms(of.cells, of.queries, of.finished_trajectories)
    found = list(replayed(arm, TOKENS, runs, held_out=False))
    assert {each.rule for each in found} == {"target_reward", "plateau", "token_budget"}
    # A plateau has no fitted value, so all queries of one run have the rule that was replayed.
    (plateau,) = [each for each in found if each.label == "tpo D3-N3 --plateau 1 --plateau-share 0.1"]
    (cell,) = of.cells
    real = replace(
        of, out=tmp_path / "real", cells=(replace(cell, settings=replace(cell.settings, **plateau.options)),)
    )
    (ours,) = make_arms(real.cells, real.queries, lambda _: iter(recorded(real).values()))
    assert plateau.scores == {query: row.answer for query, row in ours.results.items()}
    assert plateau.costs == {query: cost_at(row, TOKENS, 3) for query, row in ours.results.items()}
    assert 0 < plateau.cost < sum(cost_at(row, TOKENS, 3) for row in arm.results.values()) / 15


def test_a_fitted_value_decides_on_other_queries_than_those_it_was_fitted_to(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("tpo",), samples=(3,), iterations=(2,), queries=20)
    runs = recorded(of)
    (arm,) = make_arms(of.cells, of.queries, of.finished_trajectories)
    found = [each for each in replayed(arm, TOKENS, runs, held_out=False) if each.rule == "target_reward"]
    queries = list(arm.results)

    def quantile(names: list[str], share: float) -> float:
        bests = sorted(max(each.reward for each in runs[name].initial) for name in names)
        return float(f"{bests[round(share * (len(bests) - 1))]:.4g}")

    answers = sorted(max(each.reward for each in runs[name].pool) for name in queries)
    targets = {each.options["target_reward"] for each in found}
    assert {float(f"{answers[place]:.4g}") for place in (2, 5, 10)} < targets
    (middle,) = [
        each
        for each in found
        if each.options == {"target_reward": quantile(queries, 0.5)} and each.depth == 2
    ]
    for place, query in enumerate(queries):
        target = quantile([q for k, q in enumerate(queries) if k % FOLDS != place % FOLDS], 0.5)
        best = arm.results[query].best
        stops = next((step for step in (0, 1) if best[step] >= target), 2)
        assert middle.scores[query] == best[stops]
    assert {
        each.rule for each in replayed(arm, TOKENS, runs, held_out=False, without=("target_reward",))
    } == {"plateau", "token_budget"}


def test_sample_cost_is_replayed_on_every_rotation_of_the_pool(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("bon",), samples=(12,), iterations=(0,), queries=5)
    runs = recorded(of)
    (arm,) = make_arms(of.cells, of.queries, of.finished_trajectories)
    found = {each.options["sample_cost"]: each for each in sampled_until(arm, "bon", TOKENS, runs, None)}
    assert list(found) == [0.01, 0.02, 0.05, 0.1, 0.2]
    assert found[0.2].cost < found[0.01].cost
    query, row = next(iter(arm.results.items()))
    rewards = [each.reward for each in runs[query].initial]
    bests, costs = [], []
    for start in range(12):
        order = rewards[start:] + rewards[:start]
        rule = SampleCost(0.1)
        drawn = next((n for n in (4, 8) if rule.is_worth_no_more(order[:n])), 12)
        bests.append(max(order[:drawn]))
        costs.append(row.sample_read * drawn / 4 + row.sample_written * drawn / 12)
    assert found[0.1].scores[query] == pytest.approx(sum(bests) / 12)
    assert found[0.1].costs[query] == pytest.approx(sum(costs) / 12)
    held_out = sampled_until(arm, "bon", TOKENS, runs, lambda query, text: -len(text))
    assert all(each.score < 0 for each in held_out)


def test_blank_samples_are_drawn_by_a_replayed_sample_cost(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("bon",), samples=(9,), iterations=(0,), queries=1)
    policy = ScriptedPolicy(lambda call, index: " " if index < 5 else f"text {index}")
    assert not asyncio.run(run_cells(of, of.incomplete_cells(), models(of, policy)))
    (run,) = of.finished_trajectories(of.cells[0])
    (arm,) = make_arms(of.cells, of.queries, of.finished_trajectories)
    rewards = {each.index: each.reward for each in run.initial}
    rule, bests = SampleCost(0.2), []
    for start in range(9):
        order = [rewards.get((start + place) % 9) for place in range(9)]
        texts = [[each for each in order[:n] if each is not None] for n in (4, 8, 9)]
        drawn = next((of for of in texts[:2] if rule.is_worth_no_more(of)), texts[2])
        bests.append(max(drawn))
    found = sampled_until(arm, "bon", TOKENS, {run.query.id: run}, None)
    (configuration,) = [each for each in found if each.options == {"sample_cost": 0.2}]
    assert configuration.score == pytest.approx(sum(bests) / 9)


def test_the_options_of_a_configuration_name_its_rule() -> None:
    each = Configuration("tpo", 5, 2, {}, {}, "plateau", {"plateau": 1, "plateau_share": 0.5})
    assert [rule.name for rule in stopping_rules(Settings(**each.options))] == [each.rule]
