"""Options of ``tpo run`` that tell how data are read and when a query stops reach the run."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tpo.cli.main import app
from tpo.store import read_trajectories

SHORT = ["--policy", "tiny", "--reward", "tiny", "-n", "2", "-d", "1", "--max-tokens", "16", "--quiet"]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["run", *words, *SHORT])


def test_template_delimiter_and_system_make_the_prompt(tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("who;what\nAnna;scarf\n")
    words = ["--template", "Thank {who} for the {what}.", "--delimiter", "semicolon", "--system", "Be kind."]
    done = run(str(data), *words, "--out", str(tmp_path / "run"))
    assert done.exit_code == 0, done.output
    (trajectory,) = read_trajectories(tmp_path / "run")
    texts = [turn["content"] for turn in trajectory.query.messages]
    assert texts == ["Be kind.", "Thank Anna for the scarf."]


def test_invalid_rows_are_skipped_only_where_asked(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"prompt": null}\n{"prompt": "Thank Mia."}\n')
    assert run(str(data), "--out", str(tmp_path / "no")).exit_code == 2
    done = run(str(data), "--skip-invalid", "--out", str(tmp_path / "run"))
    assert done.exit_code == 0, done.output
    assert [trajectory.query.text for trajectory in read_trajectories(tmp_path / "run")] == ["Thank Mia."]


def test_a_target_reward_ends_queries_and_stands_in_the_fingerprint(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"prompt": "Thank Mia."}\n')
    out = ["--out", str(tmp_path / "run")]
    done = run(str(data), "--target-reward", "-1000", *out)
    assert done.exit_code == 0, done.output
    (trajectory,) = read_trajectories(tmp_path / "run")
    assert (trajectory.stop_reason, trajectory.steps) == ("target_reward", ())
    assert json.loads((tmp_path / "run" / "run.json").read_text())["fingerprint"]["target_reward"] == -1000
    assert run(str(data), *out).exit_code == 2


def test_a_deadline_that_is_not_positive_is_refused(tmp_path: Path) -> None:
    refused = run("--deadline", "0", "--out", str(tmp_path / "run"))
    assert refused.exit_code == 2
    assert "--deadline" in refused.output


def test_several_files_and_patterns_are_read_one_after_the_other(tmp_path: Path) -> None:
    for name, text in (("a", "Thank Mia."), ("part-1", "Thank Ben."), ("part-2", "Thank Zoe.")):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"prompt": text}) + "\n")
    words = [str(tmp_path / "a.jsonl"), str(tmp_path / "part-*.jsonl")]
    done = run(*words, "--out", str(tmp_path / "run"))
    assert done.exit_code == 0, done.output
    answered = {
        trajectory.query.id: trajectory.query.text for trajectory in read_trajectories(tmp_path / "run")
    }
    assert answered == {"q0": "Thank Mia.", "q1": "Thank Ben.", "q2": "Thank Zoe."}
    assert json.loads((tmp_path / "run" / "run.json").read_text())["configuration"]["data"] == words


def test_one_file_is_the_same_data_alone_and_as_one_of_several(tmp_path: Path) -> None:
    data = tmp_path / "a.jsonl"
    data.write_text('{"prompt": "Thank Mia."}\n')
    assert run(str(data), "--out", str(tmp_path / "run")).exit_code == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["configuration"]["data"] == str(data)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["run", "--out", ""], "--out"),
        (["run", "--out="], "--out"),
        (["run", "--config", ""], "--config"),
        (["doctor", "--calibration", " "], "--calibration"),
        (["sweep", "x.jsonl", "--out", ""], "--out"),
        (["bench", "run", "xstest", "--out", ""], "--out"),
        (["bench", "table", ""], "DIR"),
        (["export", ""], "RUN"),
        (["export", "run", "--out", ""], "--out"),
        (["report", ""], "RUN"),
        (["report", "run", "--figures", ""], "--figures"),
        (["repair", ""], "RUN"),
        (["view", ""], "RUN_OR_DIR"),
        (["serve", "--store", ""], "--store"),
    ],
)
def test_an_empty_path_is_refused_and_not_taken_for_the_working_directory(
    words: list[str], name: str
) -> None:
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    said = " ".join(refused.output.replace("│", " ").split())
    assert f"{name}" in said
    assert "is empty; name a path" in said


@pytest.mark.parametrize(
    "words",
    [["run", "--out", "s3://bucket/run"], ["report", "s3://bucket/run"], ["merge", "gs://bucket/run"]],
)
def test_a_url_is_refused_as_a_run_directory(words: list[str]) -> None:
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    said = " ".join(refused.output.replace("│", " ").split())
    assert "name a path, not a URL: object stores have no append and no locks." in said


def test_an_empty_data_name_is_refused() -> None:
    for words in (["run", "", *SHORT], ["run", "a.jsonl", "", *SHORT], ["sweep", ""]):
        refused = CliRunner().invoke(app, words)
        assert refused.exit_code == 2
        assert "name of the data is empty" in refused.output or "no such file" in refused.output


def test_a_flag_that_may_stand_alone_has_its_value_by_default() -> None:
    from tpo.cli.options import _with_bare_values

    assert _with_bare_values([]) == []
    assert _with_bare_values(["DATA", "--ray"]) == ["DATA", "--ray=auto"]
    assert _with_bare_values(["--ray", "--workers", "2"]) == ["--ray=auto", "--workers", "2"]
    assert _with_bare_values(["--ray", "10.0.0.1:6379", "-n", "2"]) == ["--ray", "10.0.0.1:6379", "-n", "2"]
