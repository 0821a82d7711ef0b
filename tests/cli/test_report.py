import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.report import runs
from tpo.cli.main import app
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import user


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["report", *map(str, arguments)])
    return result.exit_code, re.sub(r"\s+", " ", result.output)


def test_a_report_stands_in_its_run_with_figures_beside_it(tmp_path: Path) -> None:
    run = runs.ordinary(tmp_path / "run", 2)
    code, said = call(run)
    assert (code, "2 queries on" in said) == (0, True)
    assert (run / "report.html").exists()
    assert (run / "figures/training-curve.svg").exists()


def test_a_report_of_several_runs_stands_above_them(tmp_path: Path) -> None:
    paths = [runs.ordinary(tmp_path / "many" / name, 1) for name in ("a", "b")]
    assert call(*paths, "--no-figures")[0] == 0
    assert (tmp_path / "many/report.html").exists()
    assert not (tmp_path / "many/figures").exists()


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    run = runs.ordinary(tmp_path / "run", 1)
    (run / "run.json").unlink()
    code, said = call(run, "--no-figures")
    assert code == 0
    assert "run: run.json is missing" in said


@pytest.mark.parametrize("baseline", ["", "x", "=1", "x=", "x=nan", "x=much"])
def test_a_baseline_that_is_none_is_refused(tmp_path: Path, baseline: str) -> None:
    code, said = call(tmp_path, "--baseline", baseline)
    assert code == 2
    assert "NAME=VALUE" in said


def test_a_price_of_cached_tokens_needs_the_others(tmp_path: Path) -> None:
    code, said = call(tmp_path, "--price-cached", 1)
    assert (code, "--price-in" in said) == (2, True)


def test_a_file_of_a_run_is_not_overwritten(tmp_path: Path) -> None:
    run = runs.ordinary(tmp_path / "run", 1)
    before = (run / "trajectories.jsonl").read_bytes()
    code, said = call(run, "--no-figures", "--out", run / "trajectories.jsonl")
    assert (code, "it is a file of the run in" in said) == (2, True)
    assert (run / "trajectories.jsonl").read_bytes() == before


def test_no_run_is_one_sentence(tmp_path: Path) -> None:
    code, said = call(tmp_path / "nowhere")
    assert code == 2
    assert "no such directory" in said
    assert "Traceback" not in said


def test_the_first_samples_of_another_run_are_a_dashed_line(tmp_path: Path) -> None:
    run, other = (runs.ordinary(tmp_path / name, 2) for name in ("run", "other"))
    assert call(run, "--baseline-run", other)[0] == 0
    rows = (run / "figures/training-curve.csv").read_text().splitlines()
    first = rows[1].split(",")
    last = rows[-1].split(",")
    assert first[1:3][0] == "0"
    assert float(last[2]) == pytest.approx(float(first[2])), "both runs have the same first samples"
    code, said = call(run, "--baseline-run", tmp_path)
    assert (code, "Traceback" in said) == (2, False)


def test_a_baseline_counts_the_queries_of_the_first_run_alone(tmp_path: Path) -> None:
    run, smaller = (runs.ordinary(tmp_path / f"of-{count}", count) for count in (4, 2))
    assert call(run, "--baseline-run", smaller)[0] == 0
    assert "(2 of 4 queries)" in (run / "figures/training-curve.csv").read_text()
    questions = [replace(query, messages=(user(f"Not {query.text}"),)) for query in runs.questions(2)]
    policy, reward = ScriptedPolicy(runs.say), ScriptedReward(runs.worth(0.8))
    other = runs.make_run(tmp_path / "other", questions, policy, reward, runs.recipe())
    code, said = call(run, "--baseline-run", other)
    assert (code, "has no query that of-4 finished" in " ".join(said.split())) == (2, True)
