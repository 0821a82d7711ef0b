"""Replay of stopping rules: the same as a run with the rule, and exact regrets of recorded pools."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.record import RESULTS as RECORDS
from benchmarks.record import put_table
from benchmarks.stopping import PAGE, pools_table, regret, steps_table

from tpo.experiments.stopping_replay import samples_drawn, stopped
from tpo.methods.catalog import bon, tpo
from tpo.methods.optimize import Optimizer
from tpo.methods.stopping import Plateau, SampleCost, StoppingRule, TargetReward, TokenBudget
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Query, Trajectory, user

POOLS: list[list[float]] = json.loads((Path(__file__).parent / "pools.json").read_text())["rewards"]
"""Rewards of 60 samples by the embedded pair to each of 60 queries of ``training.held_out``, as drawn."""
RESULTS = json.loads((RECORDS / "stopping_pools.json").read_text("utf-8"))


def say(call: PolicyCall, index: int) -> str:
    """A text whose length depends on query, step and sample, and seldom grows."""
    scope = call.scope
    size = 20 + (7 * int(scope.query[1:]) + 11 * scope.step + 5 * index) % 23
    text = " ".join("x" * size)
    return improved(text) if scope.phase == "update" else text


def optimized(query: str, rules: list[StoppingRule]) -> Trajectory:
    method = tpo(sample_size=3, max_iterations=4)
    return Optimizer(ScriptedPolicy(say), ScriptedReward(), method, stopping=rules).run(
        Query(query, (user("?"),))
    )


@pytest.mark.parametrize(
    "rule", [TargetReward(77.0), Plateau(1), Plateau(2, 0.5), TokenBudget(1200)], ids=lambda rule: rule.name
)
def test_a_replayed_rule_stops_where_a_run_with_it_stops(rule: StoppingRule) -> None:
    depths = set()
    for number in range(12):
        prefix = stopped(optimized(f"q{number}", []), [rule])
        real = optimized(f"q{number}", [rule])
        assert prefix.pool == real.pool
        assert prefix.steps == real.steps
        depths.add(len(real.steps))
    assert len(depths) > 1  # the rule decided


def test_the_replay_of_first_samples_is_the_run_with_the_rule() -> None:
    pool = POOLS[0]
    texts = {f"s{place}": reward for place, reward in enumerate(pool)}
    policy = ScriptedPolicy({"sample": lambda call, i: f"s{call.sampling.seed % 1024 + i}"})
    trajectory = Optimizer(
        policy, ScriptedReward(texts), bon(sample_size=60), stopping=[SampleCost(0.05)]
    ).run("?")
    drawn = samples_drawn(SampleCost(0.05), pool)
    assert [c.reward for c in trajectory.pool] == pool[:drawn]
    assert 4 < drawn < 60


@pytest.mark.parametrize("row", RESULTS["rows"], ids=lambda row: str(row["cost"]))
def test_the_recorded_regret_is_that_of_the_recorded_pools(row: dict[str, float]) -> None:
    assert [len(pool) for pool in POOLS] == [60] * RESULTS["queries"] == [60] * 60
    assert regret(POOLS, row["cost"]) == row


def test_the_tables_of_the_page_are_the_recorded_ones() -> None:
    page = PAGE.read_text("utf-8")
    assert pools_table(RESULTS["rows"]) in page
    assert steps_table(json.loads((RECORDS / "stopping_steps.json").read_text("utf-8"))["rows"]) in page


def test_the_value_of_a_fixed_number_is_exact() -> None:
    found = regret([[0.0, 0.0, 0.0, 4.0]], 0.125)  # deviation 2: the best of n is n / 2 deviations
    assert (found["best_fixed_n"], found["best_fixed_value"]) == (4, 1.5)


def test_a_table_is_put_under_its_heading(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "\n## Before\n\n| a |\n|---|\n| 1 |\n\n### Here\n\n| b |\n|---|\n| 2 |\n\n| c |\n", "utf-8"
    )
    put_table(page, "### Here", "| d |\n|---|\n| 3 |")
    assert page.read_text("utf-8").endswith("| 1 |\n\n### Here\n\n| d |\n|---|\n| 3 |\n\n| c |\n")
    with pytest.raises(ValueError, match="no table under ## After"):
        put_table(page, "## After", "")
