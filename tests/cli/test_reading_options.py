"""Options of ``tpo run`` that tell how data are read and when a query stops reach the run."""

import json
from pathlib import Path

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


def test_a_flag_that_may_stand_alone_has_its_value_by_default() -> None:
    from tpo.cli.options import _with_bare_values

    assert _with_bare_values(["DATA", "--ray"]) == ["DATA", "--ray=auto"]
    assert _with_bare_values(["--ray", "--workers", "2"]) == ["--ray=auto", "--workers", "2"]
    assert _with_bare_values(["--ray", "10.0.0.1:6379", "-n", "2"]) == ["--ray", "10.0.0.1:6379", "-n", "2"]
