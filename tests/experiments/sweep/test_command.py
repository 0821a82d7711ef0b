import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.openai_server import OpenAIServer
from tpo.cli.main import app

LENGTH = "python:tests.cli.values:length_of"
MARKS = "python:tests.experiments.sweep.rewards:marks"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"Question {n}?"}) + "\n" for n in range(3)))
    return file


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["sweep", *map(str, arguments)])
    return result.exit_code, re.sub(r"\s+", " ", result.output)


def test_a_sweep_runs_against_a_server_and_goes_on_without_asking_again(data: Path, tmp_path: Path) -> None:
    grid = ("--method", "tpo,revision,bon", "--sample-size", "2,3", "--max-iterations", "1", "--seed", "1,2")
    rest = (
        "--reward",
        LENGTH,
        "--check-reward",
        MARKS,
        "--out",
        tmp_path / "out",
        "--no-figures",
        "--no-page",
    )
    with OpenAIServer() as server:
        code, said = call(data, "--policy", server.url, *grid, *rest)
        assert code == 0, said
        assert "| tpo D1-N3 " in said
        assert "best-of-n, pool of tpo D1-N3" in said
        sampled = [body for body in server.requests if len(body["messages"]) == 1 and body.get("n")]
        assert [body["n"] for body in sampled] == [3] * 6
        asked = len(server.requests)
        assert call(data, "--policy", server.url, *grid, *rest)[0] == 0
        assert len(server.requests) - asked <= 1  # which model it serves is asked for, and nothing else
        prices = ("--cost", "money", "--price-in", 1, "--price-out", 1, "--role-price", "critic=11,11")
        assert call(data, "--policy", server.url, *grid, *rest, *prices)[0] == 0
    record = json.loads((tmp_path / "out/sweep.json").read_text())
    spent = {
        arm["method"]: arm["a_query"]["money"] * 1e6 - arm["a_query"]["tokens"] for arm in record["arms"]
    }
    assert spent["tpo"] > spent["revision"] > 0.0
    assert spent["bon"] == pytest.approx(0.0)
    assert record["policy"] == "scripted"
    assert record["arms"][0]["held_out_queries"] == 3
    assert "api_key" not in json.dumps(record)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--sample-size", "0"], "--sample-size is '0'; it must be greater than or equal to 1"),
        (["--samples", "3,3"], "--sample-size: 3 is given twice"),
        (["-n", "3,three"], "--sample-size is 'three'; it must be a valid integer"),
        (["--iterations", "-1"], "--max-iterations is '-1'; it must be greater than or equal to 0"),
        (["--method", "tpo,magic"], "--method magic: unknown"),
        (["--method", "bon,bon"], "--method: bon is given twice"),
        (["--seeds", ","], "--seed is empty"),
        (["--reward", LENGTH, "--reward", LENGTH], "name each reward once"),
        (["--reward", LENGTH, "--check-reward", LENGTH], "must not guide a run"),
        (["--check-reward", "wrong"], "--check-reward wrong: unknown"),
        (["--column", "nothing"], "nothing"),
        (["--limit", "0"], "--limit is 0"),
        (["--cost", "money", "--price-in", "1", "--role-price", "critic"], "must be ROLE=IN,OUT"),
        (["--cost", "seconds"], "--cost seconds needs --no-share"),
        (["--fallback", "best-of-n"], "--fallback best-of-n adds to the first samples"),
        (["--cost", "flops", "--parameters", "8e9", "--critic", "http://127.0.0.1:9/v1"], "one policy"),
    ],
)
def test_a_wrong_option_is_one_sentence_before_any_call(
    data: Path, tmp_path: Path, more: list[str], why: str
) -> None:
    with OpenAIServer() as server:
        named = [] if "--reward" in more else ["--reward", LENGTH]
        code, said = call(data, "--policy", server.url, "--out", tmp_path / "out", *named, *more)
        assert (code, why in said, "Traceback" in said) == (2, True, False), said
        assert not any("messages" in body for body in server.requests)
    assert not (tmp_path / "out").exists()


def test_a_selection_from_a_file_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('select = "consensus"\n')
    code, said = call(data, "--config", tmp_path / "run.toml", "--out", tmp_path / "out", "--no-figures")
    assert (code, "runs are compared by the highest reward" in said) == (2, True), said


def test_data_that_is_not_there_is_told(tmp_path: Path) -> None:
    code, said = call(tmp_path / "nowhere.jsonl", "--out", tmp_path / "out")
    assert (code, "no such file" in said) == (2, True)
