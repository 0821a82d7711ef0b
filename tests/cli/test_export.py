"""``tpo export`` as a shell sees it: its training sets, and options that do not fit."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import tpo
from tests.cli.values import length_of
from tests.export.trajectories import failed, finished
from tpo.cli.main import app
from tpo.errors import PolicyError
from tpo.policies.scripted import Script, improved
from tpo.store.runfile import RunRecord, read_run, write_run
from tpo.store.trajectory_line import encode_trajectory
from tpo.types import Scope


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path, RunRecord({}, {"policy": "llama", "reward": "skywork"}).begin(1.0))
    lines = (encode_trajectory(trajectory) for trajectory in (finished(), failed(), finished("q2")))
    (tmp_path / "trajectories.jsonl").write_bytes(b"".join(lines))
    return tmp_path


def export(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_pairs_are_written_into_the_run_and_what_is_left_out_is_told(run: Path) -> None:
    result = export(run, "--format", "dpo")
    assert result.exit_code == 0, result.stderr
    file = run / "dpo.jsonl"
    assert result.stderr == f"2 preference pairs written to {file}; queries left out: 1 failed\n"
    pair = json.loads(file.read_text().split("\n")[0])
    assert (pair["policy"], pair["reward_model"], pair["margin"]) == ("llama", "skywork", 5.5)


def test_the_best_answers_are_written_into_the_run(run: Path) -> None:
    result = export(run, "--format", "sft")
    assert result.stderr == f"2 queries written to {run / 'sft.jsonl'}; queries left out: 1 failed\n"


def test_every_option_reaches_the_pairs(run: Path) -> None:
    def count(*options: object) -> int:
        out = run / "out.jsonl"
        assert export(run, "--format", "dpo", "--out", out, "-q", *options).exit_code == 0
        return out.read_text().count("\n")

    assert count("--pairs", "all") == 6
    assert count("--pairs", "all", "--min-margin", 3) == 4
    assert count("--pairs", "all", "--max-length-ratio", 1) == 2
    assert count("--pairs", "all", "--steps", "1-") == 2
    assert count("--pairs", "all", "--max-chars", 3) == 0


def test_a_failed_continuation_leaves_the_answers_and_the_next_run_replaces_them(tmp_path: Path) -> None:
    script: Script = {"sample": "ab", "loss": "l", "gradient": "g", "update": improved("longer")}

    def run(iterations: int, failing: int | None = None) -> tpo.Run:
        failures = {Scope(query, failing or 0, "update"): PolicyError("gone") for query in ("q0", "q1")}
        policy = tpo.ScriptedPolicy(script, failures=failures)
        shape: dict[str, Any] = {"sample_size": 2, "max_iterations": iterations}
        return tpo.run(["one", "two"], policy=policy, reward=length_of, out=tmp_path / "run", **shape)

    def exported() -> list[tuple[str, str]]:
        assert export(tmp_path / "run", "--out", tmp_path / "out.jsonl").exit_code == 0
        rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        return [(row["status"], row["response"]) for row in rows]

    def steps() -> list[int]:
        return [len(each.steps) for each in tpo.load_run(tmp_path / "run").trajectories()]

    run(1)
    assert (exported(), steps()) == (2 * [("finished", "longer")], [1, 1])
    summary = (failed := run(2, failing=2)).summary
    assert (summary.finished, summary.failed, list(failed.failed)) == (0, 2, ["q0", "q1"])
    assert read_run(tmp_path / "run").totals["failed"] == 2
    assert (exported(), steps()) == (2 * [("finished", "longer")], [1, 1])
    summary = (done := run(2)).summary
    assert (summary.finished, summary.failed, done.failed) == (2, 0, {})
    assert (exported(), steps()) == (2 * [("finished", "longer")], [2, 2])


@pytest.mark.parametrize(
    ("shape", "name"), [("results", "trajectories.jsonl"), ("reference", "run.json"), ("logs", ".lock")]
)
def test_a_file_of_the_run_is_not_overwritten(shape: str, name: str, run: Path) -> None:
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    result = export(run, "--format", shape, "--out", run / name)
    assert (result.exit_code, result.stderr) == (
        2,
        f"error: cannot write {run / name}: it is a file of the run in {run}; name another file\n",
    )
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_queries_that_the_options_empty_are_told(run: Path) -> None:
    dpo = export(run, "--format", "dpo", "--min-margin", 100)
    assert dpo.stderr.endswith("queries left out: 1 failed, 2 without a pair\n")
    sft = export(run, "--format", "sft", "--max-chars", 1)
    assert sft.stderr.endswith("queries left out: 1 failed, 2 without a response that the options keep\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--min-margin", 1), "--min-margin is for --format dpo only, not for --format results"),
        (("--format", "sft", "--pairs", "all"), "--pairs is for --format dpo only, not for --format sft"),
        (("--format", "logs", "--steps", "1"), "--steps is for --format dpo and --format sft only, not for"),
        (("--format", "dpo", "--min-margin", -1), "--min-margin must be a number from 0 on, not -1.0"),
        (("--format", "dpo", "--max-length-ratio", 0), "--max-length-ratio must be 1 or more, not 0.0"),
        (("--format", "dpo", "--steps", "first"), "--steps takes steps such as 0 or 1,3"),
        (("--format", "sft", "--max-chars", 0), "--max-chars must be 1 or more, not 0"),
        (
            ("--format", "dpo", "--out", "pairs.csv"),
            "pairs.csv: a training set is written to a file that ends in",
        ),
    ],
)
def test_an_option_that_does_not_fit_ends_in_one_sentence_and_nothing_written(
    run: Path, options: tuple[object, ...], message: str
) -> None:
    before = sorted(run.iterdir())
    result = export(run, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert sorted(run.iterdir()) == before


def test_a_run_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    result = export(tmp_path / "none", "--format", "dpo")
    assert result.exit_code == 2
    assert "no such directory" in " ".join(result.stderr.split())
    assert not (tmp_path / "none").exists()
    assert "left without their names" not in result.stderr


def test_the_options_have_a_panel_of_their_own(run: Path) -> None:
    assert "Training sets (dpo, sft)" in export("--help").output


def test_raw_csv_is_for_results_in_csv_alone(run: Path) -> None:
    assert export(run, "--raw-csv", "--out", run / "a.csv").exit_code == 0
    for arguments in (["--out", run / "a.jsonl"], ["--format", "dpo"]):
        refused = export(run, "--raw-csv", *arguments)
        assert refused.exit_code == 2
        assert "--raw-csv is for --format results" in refused.stderr


def test_an_empty_name_for_the_file_is_refused(run: Path) -> None:
    refused = export(run, "--format", "logs", "--out", "")
    assert refused.exit_code == 2
    assert "is empty; name a path" in refused.stderr
