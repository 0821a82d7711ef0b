"""``tpo tune`` against a scripted server: the cost before it starts, the choice, its files, resuming."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.experiments.tune.rewards import KILL_AT
from tests.openai_server import OpenAIServer
from tests.report.runs import questions
from tests.test_config import parsed_words
from tpo.cli.main import app
from tpo.cli.tune_session import TuneSession, sample_queries
from tpo.config import Settings, load_settings
from tpo.methods.need import read_need
from tpo.store import read_run

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
        models = ("--reward", LENGTH, "--check-reward", MARKS, "--out", out, "--concurrency", 4)
        code, said = call(data, *options, *models)
        assert code == 0, said
        # A pool of 3, and 7 calls with 2 + 2 (1 + 1 + 2) completions, for 24 queries.
        assert "at most 192 policy calls with 312 completions, and 216 rewards of whole responses" in said
        assert "for 2 runs of 24 queries" in said
        # The first samples of both runs, and the best after each step.
        assert "at most 168 scores of the held-out reward" in said
        assert "tpo run" in said
        asked = len(server.requests)
        assert call(data, *options, *models)[0] == 0
        assert len(server.requests) - asked <= 1
        prices = ("--cost", "money", "--price-in", 1, "--price-out", 2, "--role-price", "critic=3,10")
        code, said = call(data, *options, *models, *prices, "--fresh")
        assert code == 0, said
        assert "at most 6.39 USD for these" in said  # 312 completions of 2,048 tokens, each as if a critique
    record = json.loads((out / "tune.json").read_text())
    assert len(record["data"]["ids"]) == 24
    assert record["command"][:3] == ["tpo", "run", str(data)]
    assert {"D of tpo N2", "N of bon D0"} <= {each["of"] for each in record["turning_points"]}
    page = (out / "tune.md").read_text()
    assert page.count("(the choice)") >= 1
    assert "chosen on four fifths of the queries and measured on the other" in page
    assert {"method bon", "method tpo"} <= {each["kind"] for each in record["by_kind"]}
    settings = parsed(record["command"])
    assert (settings.policy, settings.model) == ((server.url,), "scripted")
    assert (settings.reward, settings.concurrency) == ((LENGTH,), 4)
    assert settings.max_tokens == 2048
    if record["chosen"]["rule"] == "when_needed":
        assert read_need(out / "need.json").queries == 24


def parsed(words: list[str]) -> Settings:
    """Return the settings that a command ``tpo run DATA`` has by the parser of the command line."""
    assert words[:2] == ["tpo", "run"]
    return parsed_words(words[2:])


def test_the_embedded_pair_is_tuned_and_the_command_has_every_setting(data: Path, tmp_path: Path) -> None:
    models = ("--reward", "tiny", "--check-reward", LENGTH)
    more = ("--temperature", 0.9, "--critique-temperature", 0.5, "--seed", 3, "--column", "prompt", "-q")
    grid = ("--method", "tpo", "-n", 2, "-d", 1, "--sample", 3, "--pool", 3, "--max-tokens", 24)
    out = ("--out", tmp_path / "out", "--budget", 5000)
    code, said = call(data, "--policy", "tiny", *models, *grid, *more, *out)
    assert code == 0, said
    record = json.loads((tmp_path / "out/tune.json").read_text())
    assert record["judged_by"] == LENGTH
    chosen, settings = record["chosen"], parsed(record["command"])
    expected = load_settings(
        {
            "policy": ["tiny"],
            "reward": ["tiny"],
            "max_tokens": 24,
            "temperature": 0.9,
            "critique_temperature": 0.5,
            "seed": 3,
            "column": "prompt",
            "method": chosen["method"],
            "sample_size": chosen["samples"],
            "max_iterations": chosen["iterations"],
            **chosen["options"],
        },
        {},
    )
    assert settings == expected
    best = max((each for each in record["all"] if each["cost"] <= 5000), key=lambda each: each["score"])
    assert chosen["score"]["value"] == pytest.approx(best["score"])


def test_a_killed_tuning_goes_on_and_has_the_same_result(data: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    program = [sys.executable, "-c", "from tpo.cli.main import app; app()", "tune"]
    with OpenAIServer() as server:
        grid = ("--policy", server.url, "--method", "tpo", "-n", 2, "-d", 2, "--sample", 6, "--pool", 4)
        words = [
            str(data),
            *map(str, grid),
            "--reward",
            "python:tests.experiments.tune.rewards:words",
            "--out",
        ]
        assert call(*words, whole)[0] == 0
        asked = len(server.requests)
        ended = subprocess.run(
            [*program, *words, str(killed)],
            env={**os.environ, KILL_AT: "40"},
            capture_output=True,
            check=False,
        )
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        assert not (killed / "tune.json").exists()
        before = len(server.requests)
        assert call(*words, killed)[0] == 0
        assert len(server.requests) - before < asked, "calls that had ended are not made again"
    first, second = (json.loads((out / "tune.json").read_text()) for out in (whole, killed))
    assert second == first
    starts = [len(read_run(run).invocations) for run in (killed / "runs").iterdir()]
    assert sorted(starts) == [1, 2]


@pytest.mark.parametrize(
    ("flags", "variables", "toml", "methods", "iterations"),
    [
        ((), {}, "", {"tpo", "revision", "fused"}, 4),
        ((), {"TPO_METHOD": "tpo", "TPO_MAX_ITERATIONS": "1"}, "", {"tpo"}, 1),
        ((), {}, 'method = "fused"\nmax_iterations = 2\n', {"fused"}, 2),
        (("--method", "revision", "-d", "3"), {"TPO_METHOD": "tpo"}, "max_iterations = 2\n", {"revision"}, 3),
    ],
)
def test_methods_and_iterations_come_from_flags_environment_and_file_in_this_order(
    flags: tuple[str, ...],
    variables: dict[str, str],
    toml: str,
    methods: set[str],
    iterations: int,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "run.toml").write_text(toml)
    made: list[TuneSession] = []
    monkeypatch.setattr(TuneSession, "execute", lambda session: made.append(session))
    models = ("--policy", "python:tests.cli.values:shout", "--reward", LENGTH, "--check-reward", MARKS)
    out = ("--out", tmp_path / "out", "--config", tmp_path / "run.toml")
    code, said = call(data, *models, *flags, *out, "--sample", 5)
    assert code == 0, said
    settings = [cell.settings for cell in made[0].sweeping.plan.cells]
    assert {each.method for each in settings} == {*methods, "bon"}
    assert {each.max_iterations for each in settings if each.method != "bon"} == {iterations}


def test_two_rewards_and_a_guide_that_judges_are_refused(data: Path) -> None:
    assert "one --reward" in call(data, "--reward", LENGTH, "--reward", MARKS)[1]
    assert "must not guide" in call(data, "--reward", LENGTH, "--check-reward", LENGTH)[1]


def test_a_fallback_that_draws_more_first_samples_is_refused(data: Path) -> None:
    code, said = call(
        data, "--reward", LENGTH, "--policy", "http://127.0.0.1:9/v1", "--fallback", "best-of-n"
    )
    assert (code, "--fallback best-of-n adds to the first samples" in said) == (2, True), said


def test_flops_of_a_critic_of_its_own_are_refused(data: Path) -> None:
    flops = ("--cost", "flops", "--parameters", "8e9", "--critic", "http://127.0.0.1:9/v1")
    assert "one policy" in call(data, "--reward", LENGTH, *flops)[1]


def test_a_sample_is_drawn_by_the_seed_in_the_order_of_the_data() -> None:
    queries = questions(20)
    drawn = sample_queries(queries, 5, 7)
    assert drawn == sample_queries(queries, 5, 7) != sample_queries(queries, 5, 8)
    assert [queries.index(each) for each in drawn] == sorted(queries.index(each) for each in drawn)
    assert sample_queries(queries, 99, 7) == tuple(queries)
