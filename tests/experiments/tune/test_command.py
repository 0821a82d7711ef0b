"""``tpo tune`` against a scripted server: the cost before it starts, the choice, its files, resuming."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.openai_server import OpenAIServer
from tests.report.runs import questions
from tpo.cli.main import app
from tpo.cli.tune_session import sample_queries
from tpo.methods.need import read_need

LENGTH = "python:tests.cli.values:length_of"
MARKS = "python:tests.experiments.sweep.rewards:marks"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"Question {n}?"}) + "\n" for n in range(30)))
    return file


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["tune", *map(str, arguments)])
    return result.exit_code, re.sub(r"\s+", " ", result.output)


def test_it_measures_a_sample_prints_the_command_and_goes_on_without_asking_again(
    data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with OpenAIServer() as server:
        options = ("--policy", server.url, "--method", "tpo", "-n", 2, "-d", 2, "--sample", 24, "--pool", 3)
        models = ("--reward", LENGTH, "--check-reward", MARKS, "--out", out)
        code, said = call(data, *options, *models)
        assert code == 0, said
        # A pool of 3, and 7 calls with 2 + 2 (1 + 1 + 2) completions, for 24 queries.
        assert "at most 192 policy calls with 312 completions, and 216 rewards, for 2 runs of 24" in said
        assert "tpo run" in said
        asked = len(server.requests)
        assert call(data, *options, *models)[0] == 0
        assert len(server.requests) - asked <= 1
    record = json.loads((out / "tune.json").read_text())
    assert len(record["data"]["ids"]) == 24
    assert record["command"][:3] == ["tpo", "run", str(data)]
    assert {"D of tpo N2", "N of bon D0"} <= {each["of"] for each in record["turning_points"]}
    assert (out / "tune.md").read_text().count("(the choice)") == 1
    if record["chosen"]["when_needed"]:
        assert read_need(out / "need.json").queries == 24


def test_two_rewards_and_a_guide_that_judges_are_refused(data: Path) -> None:
    assert "one --reward" in call(data, "--reward", LENGTH, "--reward", MARKS)[1]
    assert "must not guide" in call(data, "--reward", LENGTH, "--check-reward", LENGTH)[1]


def test_a_sample_is_drawn_by_the_seed_in_the_order_of_the_data() -> None:
    queries = questions(20)
    drawn = sample_queries(queries, 5, 7)
    assert drawn == sample_queries(queries, 5, 7) != sample_queries(queries, 5, 8)
    assert [queries.index(each) for each in drawn] == sorted(queries.index(each) for each in drawn)
    assert sample_queries(queries, 99, 7) == tuple(queries)
