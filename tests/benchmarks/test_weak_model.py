"""Benchmark of a model too weak for the method, with a scripted policy in its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.weak_model import POOL, REWARD, constraints_met, make_plan, measure, table, tasks
from rich.console import Console

from tpo.cli.sweep_session import SweepSession
from tpo.errors import RewardError
from tpo.experiments.sweep.run_cells import SweepModels
from tpo.policies.scripted import PolicyCall, ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import user


def test_constraints_are_met_by_degrees() -> None:
    prompt = next(each for each, task in tasks().items() if task[2] == "Use no commas.")
    limit, words, _ = tasks()[prompt]
    good = " ".join(words)
    assert constraints_met([user(prompt)], good) == 1.0
    assert constraints_met([user(prompt)], words[0]) == pytest.approx(5 / 6)
    assert constraints_met([user(prompt)], good + ",") == pytest.approx(5 / 6)
    long = good + " so" * (2 * limit - len(words))
    assert constraints_met([user(prompt)], long) == pytest.approx(5 / 6)
    assert constraints_met([user(prompt)], " ") == 0.0
    with pytest.raises(RewardError, match="none of this benchmark's"):
        constraints_met([user("Why?")], good)


def test_the_fallback_is_compared_with_best_of_n_at_its_tokens(tmp_path: Path) -> None:
    def say(call: PolicyCall, index: int) -> str:
        return f"{call.sampling.seed % 1024 + index} and no more"

    plan = make_plan("hf:made/weak", 10, tmp_path)
    models = SweepModels(ScriptedPolicy(say), {REWARD: ScriptedReward(lambda text: float(text.split()[0]))})
    quiet = Console(quiet=True)
    result = SweepSession(plan, quiet, quiet, lambda *_: models).carried(lambda _: measure(plan))
    assert str(result["warning"]).startswith("no update could be read in 10 of 10 queries (0 of 100")
    plain, falls = result["rows"]
    assert plain["reward"] < falls["reward"]
    for row in (plain, falls):
        at = row["best_of_n"]["written"]
        assert at["covered"]
        assert 5 < at["place"] < POOL
    assert falls["best_of_n"]["written"]["paired"]["difference"]["value"] < 0.0
    assert table(result["rows"]).count("\n") == 5
