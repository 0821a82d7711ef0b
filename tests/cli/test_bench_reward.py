import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.experiments.bench.scripted import DATA
from tpo.cli.main import app
from tpo.errors import RewardError
from tpo.experiments.bench.reward_models.results import RewardBenchmark
from tpo.experiments.bench.reward_models.rows import load_rows
from tpo.rewards.scripted import ScriptedReward

FILE = str(DATA / "reward_bench.jsonl")
LENGTH = "python:tests.cli.values:length_of"


def test_a_reward_is_measured_and_its_results_are_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["bench", "reward", "--reward", LENGTH, "--data", FILE, "--out", str(out)])
    assert done.exit_code == 0, done.output
    record = json.loads((out / "results.json").read_text())
    by_name = {each["name"]: each["score"]["value"] for each in record["subsets"]}
    assert (by_name["Math"], by_name["Precise IF"]) == (50.0, 100.0)
    assert record["score"]["value"] == pytest.approx(sum(by_name.values()) / 3)
    assert "mean of subsets" in done.stdout
    assert (out / "results.md").read_text() in done.stdout


async def test_scores_are_kept_and_a_refused_response_costs_its_row(tmp_path: Path) -> None:
    rows = load_rows(FILE)
    benchmark = RewardBenchmark(rows, "scripted", {"reward": "scripted"}, tmp_path)
    failing = ScriptedReward(len, failures={"5": RewardError("too long")})
    record = await benchmark.run(failing, concurrency=4)
    assert record["failures"] == [["too long", 2]]
    math = next(each for each in record["subsets"] if each["name"] == "Math")
    assert (math["scored"], math["unscored"]) == (0, 2)
    assert record["score"] is None
    again = ScriptedReward(len)
    record = await benchmark.run(again, concurrency=4)
    assert sorted(call.response for call in again.calls) == ["5", "5"]
    assert record["score"] is not None


async def test_another_reward_does_not_use_the_scores(tmp_path: Path) -> None:
    rows = load_rows(FILE)
    for name in ("a", "b"):
        reward = ScriptedReward(len)
        await RewardBenchmark(rows, name, {"reward": name}, tmp_path).run(reward, concurrency=4)
        assert len(reward.calls) == 18
