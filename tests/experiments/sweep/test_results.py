"""Sweeps from their grid to their tables, with scripted models."""

import asyncio
import csv
import json
import re
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.sweep.scripted import GUIDE, HELD_OUT, OTHER, carried_out, models, plan, say, worth
from tests.report.test_page import blocks
from tpo.errors import ConfigError, PolicyRefused, RewardRefused, StoreError, StoreMismatch
from tpo.experiments.sweep.costs import SECONDS, TOKENS, cost_measures
from tpo.experiments.sweep.results import Outcome, write_results
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.store import read_run
from tpo.types import Scope

FIGURES = {"width", "depth", "tokens", "written-tokens", "calls", "held-out-steps", "over-optimization"}
FIGURES |= {"held-out-tokens", "held-out-written-tokens", "held-out-calls"}


def test_a_sweep_writes_its_tables_its_figures_and_all_that_a_repetition_needs(tmp_path: Path) -> None:
    of = plan(
        tmp_path, methods=("tpo", "bon"), iterations=(1, 2), seeds=(7, 8), queries=2, figures=True, page=True,
        check_reward=HELD_OUT,
    )  # fmt: skip
    record = carried_out(of, held_out=ScriptedReward(len))
    there = json.loads((tmp_path / "sweep.json").read_text())
    assert there == json.loads(json.dumps(record))
    assert there["data"]["ids"] == ["q0", "q1"]
    assert (there["seeds"], there["rewards"], there["held_out_reward"]) == ([7, 8], [GUIDE], HELD_OUT)
    assert len(there["cells"]) == 2 * (2 * 2 + 2)
    assert all((tmp_path / cell["run"] / "run.json").exists() for cell in there["cells"])
    assert there["cells"][0]["recipe"]["wording"]
    assert {figure["name"] for figure in there["figures"]} == FIGURES
    for name in FIGURES:
        for kind in ("svg", "png", "pdf", "csv"):
            assert (tmp_path / "figures" / f"{name}.{kind}").stat().st_size > 0
    page = (tmp_path / "sweep.md").read_text()
    assert "tpo D2-N4" in page
    assert "[report.html](report.html)" in page
    summary = blocks(tmp_path / "report.html")["summary"]
    assert summary["comparisons"] == [], "the tables compare; a card for every two runs would not be read"
    assert {figure["name"] for figure in summary["figures"]} >= FIGURES - {"width"}
    results = summary["results"]
    assert [table["title"] for table in results["tables"]][:2] == ["Methods", "At equal cost"]
    assert results["about"][0].startswith("2 queries, 12 runs, seeds 7, 8")
    assert r"\begin{tabular}" in (tmp_path / "sweep.tex").read_text()


def test_a_method_without_effect_is_named_beside_the_table(tmp_path: Path) -> None:
    of = plan(tmp_path, samples=(2,), seeds=(1, 2))
    untagged = ScriptedPolicy(lambda call, index: say(call, index).replace("improved_response", "b"))
    record = carried_out(of, models(of, untagged))
    (warning,) = record["effect"]
    lost = "no update could be read in 6 of 6 queries (0 of 12 updates were readable)"
    assert warning.startswith(f"tpo D1-N2: {lost}: there this equals best-of-2 at ")
    assert f"warning: tpo D1-N2: {lost}" in (tmp_path / "sweep.md").read_text()
    assert carried_out(plan(tmp_path / "readable", samples=(2,)))["effect"] == []


def test_every_row_of_the_csv_is_an_arm_with_its_numbers(tmp_path: Path) -> None:
    record = carried_out(plan(tmp_path))
    with (tmp_path / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["arm"] for row in rows] == [arm["arm"] for arm in record["arms"]]
    for row, arm in zip(rows, record["arms"], strict=True):
        assert float(row["answer"]) == arm["answer"]["value"]
        assert float(row["answer_low"]) <= float(row["answer"]) <= float(row["answer_high"])
        assert row["held_out_answer"] == ""
        assert float(row["tokens"]) == pytest.approx(float(row["read"]) + float(row["written"]))


def test_seconds_stand_in_the_tables_where_no_call_was_shared(tmp_path: Path) -> None:
    of = plan(tmp_path, costs=(TOKENS, SECONDS), budgets=(100.0,), shares=False)
    record = carried_out(replace(of, clock=count(0.0).__next__))
    by_arm = {each["arm"]: each["a_query"]["seconds"] for each in record["arms"]}
    assert all(seconds > 0 for seconds in by_arm.values())
    compared = [each for each in record["at_equal_cost"] if each["cost"] == "seconds"]
    assert {each["kind"] for each in compared} == {"mean"}
    assert {each["budget"] for each in compared} == {by_arm["tpo D1-N2"], by_arm["tpo D1-N4"]}
    with (tmp_path / "sweep.csv").open() as file:
        assert {row["arm"]: float(row["seconds"]) for row in csv.DictReader(file)} == by_arm
    assert "interrupted" not in (tmp_path / "sweep.md").read_text()
    (cell, *_) = of.cells
    asyncio.run(of.run_plan(cell).execute(models(of).of(cell)))
    again = write_results(of, Outcome({}))
    assert [each["starts"] for each in again["cells"]] == [2, *([1] * (len(of.cells) - 1))]
    assert "seconds are too low for 1 runs that were interrupted" in (tmp_path / "sweep.md").read_text()


def test_a_held_out_reward_shows_what_the_guide_overdoes_and_guides_nothing(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("tpo",), iterations=(1,), samples=(4,), queries=4, check_reward=HELD_OUT)
    with_it = carried_out(of, held_out=ScriptedReward(lambda text: -worth(text)))
    arm = with_it["arms"][0]
    assert arm["held_out_answer"]["value"] == pytest.approx(-arm["answer"]["value"])
    assert arm["held_out_queries"] == 4
    assert all(row["held_out"] is not None for row in with_it["at_equal_cost"] if row["covered"])
    without = carried_out(replace(of, out=tmp_path / "without", check_reward=None))
    assert without["arms"][0]["answer"] == arm["answer"]


def test_the_same_sweep_goes_on_where_it_stopped_and_asks_nothing_twice(tmp_path: Path) -> None:
    of = plan(tmp_path)
    half = replace(of, cells=of.cells[:1])
    carried_out(half)
    left = of.incomplete_cells()
    assert [cell.label for cell in left] == [cell.label for cell in of.cells[1:]]
    carried_out(of)
    nobody = ScriptedPolicy(say, failures={})
    record = carried_out(of, models(of, nobody))
    assert nobody.calls == []
    assert all(cell["finished"] == 3 for cell in record["cells"])


def test_a_cell_that_fails_leaves_the_others_and_is_told(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("bon",), samples=(2,), rewards=(GUIDE, OTHER))
    refusing = ScriptedReward(worth, failures={Scope("q1", 0, "reward", 0): RewardRefused("no key")})
    record = carried_out(of, models(of, rewards={GUIDE: refusing, OTHER: ScriptedReward(worth)}))
    assert [cell["error"] for cell in record["cells"]] == ["no key", None]
    assert record["cells"][1]["finished"] == 3
    assert "no key" in (tmp_path / "sweep.md").read_text()
    again = carried_out(of)
    assert [cell["error"] for cell in again["cells"]] == [None, None]


def test_a_policy_that_refuses_all_leaves_nothing_to_sum_up_and_says_why(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("bon",), samples=(2,))
    refusing = ScriptedPolicy({"sample": PolicyRefused("wrong key")})
    record = carried_out(of, models(of, refusing))
    assert record["cells"][0]["error"] == "wrong key"
    assert record["arms"][0]["answer"] is None
    with pytest.raises(StoreError, match="no cell has run"):
        carried_out(replace(of, cells=(), out=tmp_path / "empty"))


def test_a_fresh_sweep_asks_everything_anew(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("bon",), samples=(2,))
    carried_out(of)
    policy = ScriptedPolicy(say)
    carried_out(replace(of, fresh=True), models(of, policy))
    assert len(policy.calls) == 3


def test_a_held_out_reward_that_guides_is_refused_before_any_call(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must not guide a run"):
        plan(tmp_path, check_reward=GUIDE).check()
    of = plan(tmp_path, check_reward=OTHER)
    with pytest.raises(ConfigError, match="must not guide a run"):
        replace(of, settings=replace(of.settings, gate=(OTHER,))).check()


@pytest.mark.parametrize(
    "models", [{"critic": ("hf:a/b",)}, {"editor": ("hf:a/b",)}, {"policy": ("panel:hf:a/b,hf:c/d",)}]
)
def test_flops_of_several_models_are_refused_before_any_call(tmp_path: Path, models: dict[str, Any]) -> None:
    of = plan(tmp_path, costs=cost_measures(["tokens", "flops"], None, 8e9))
    of.check()
    apart = replace(of, settings=replace(of.settings, **models))
    with pytest.raises(ConfigError, match="--cost flops counts every token at --parameters"):
        apart.check()
    replace(apart, costs=(TOKENS,)).check()


def test_a_directory_of_other_runs_is_refused_before_any_call(tmp_path: Path) -> None:
    of = plan(tmp_path, rewards=["python:tests.experiments.sweep.rewards:marks"])
    carried_out(of)
    other = tuple(replace(query, id=f"other {query.id}") for query in of.queries)
    with pytest.raises(StoreMismatch, match="holds a run over other data"):
        replace(of, digest="sha256:another", queries=other).incomplete_cells()


def test_a_cell_is_known_as_tpo_run_would_know_it(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("tpo",), samples=(2,))
    carried_out(of)
    there = read_run(of.path(of.cells[0]))
    assert there.fingerprint["policy"] == "hf:made/policy"
    assert (there.fingerprint["reward"], there.fingerprint["seed"]) == (GUIDE, 7)
    assert there.configuration["sample_size"] == 2


def test_what_data_and_errors_say_is_no_markup(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("bon",), samples=(2,))
    refusing = ScriptedPolicy({"sample": PolicyRefused("<script>|`x`")})
    carried_out(replace(of, source="a|<b>.jsonl"), models(of, refusing))
    page = (tmp_path / "sweep.md").read_text()
    assert not re.search(r"(?<!\\)<script|(?<!\\)<b>", page)


def answers(record: dict[str, Any], arm: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in record["arms"] if each["arm"] == arm)
    return found


def test_arms_are_compared_on_the_queries_that_all_of_them_finished(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("tpo", "bon"), samples=(2,), queries=4, shares=False, figures=True)
    whole = carried_out(replace(of, out=tmp_path / "whole"))
    bon = [cell for cell in of.cells if cell.label.startswith("bon")]
    failing = ScriptedPolicy(
        say, failures={Scope(f"q{n}", 0, "sample"): RuntimeError("hard") for n in (1, 2)}
    )
    carried_out(replace(of, cells=tuple(bon), figures=False), models(of, failing))
    there = (of.path(bon[0]) / "trajectories.jsonl").read_bytes()
    rest = replace(of, cells=tuple(cell for cell in of.cells if cell not in bon), figures=False)
    carried_out(rest)
    (of.path(bon[0]) / "trajectories.jsonl").write_bytes(there)
    record = write_results(of, Outcome({}))
    tpo, best_of_n = answers(record, "tpo D1-N2"), answers(record, "bon D0-N2")
    assert (tpo["queries"], best_of_n["queries"]) == (2, 2)
    assert (tpo["missing"], best_of_n["missing"]) == (0, 2)
    assert tpo["first_sample"]["value"] == best_of_n["first_sample"]["value"]
    difference = tpo["answer"]["value"] - best_of_n["answer"]["value"]
    assert record["against"][0]["paired"]["difference"]["value"] == pytest.approx(difference)
    assert answers(whole, "tpo D1-N2")["queries"] == 4
    assert "the numbers cover 2 of 4 queries" in (tmp_path / "sweep.md").read_text()
    assert all("On the 2 of 4 queries that all arms finished" in f["caption"] for f in record["figures"])


def test_an_arm_with_few_queries_is_not_compared_and_does_not_shrink_the_others(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("tpo", "revision", "bon"), samples=(2,), queries=5)
    carried_out(of)
    bon = next(cell for cell in of.cells if cell.label.startswith("bon"))
    file = of.path(bon) / "trajectories.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:2]))
    record = write_results(of, Outcome({}))
    assert [(a["arm"], a["queries"], a["apart"]) for a in record["arms"]] == [
        ("tpo D1-N2", 5, False),
        ("revision D1-N2", 5, False),
        ("bon D0-N2", 2, True),
    ]
    assert [(a["first"], a["second"]) for a in record["against"]] == [("tpo D1-N2", "revision D1-N2")]
    assert not any("bon" in row["second"] for row in record["at_equal_cost"])
    said = (tmp_path / "sweep.md").read_text()
    assert f"bon D0-N2 ({GUIDE}) is not compared: its numbers cover its own 2 queries" in said
    assert "| 2, not compared" in said


def test_a_seed_whose_run_is_not_there_is_told_and_drops_out_of_no_heading(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("bon",), samples=(2,), seeds=(7, 8))
    carried_out(of)
    (of.path(of.cells[1]) / "trajectories.jsonl").unlink()
    record = write_results(of, Outcome({}))
    assert (record["arms"][0]["seeds"], record["arms"][0]["answer"]) == ([7, 8], None)
    told = f"bon D0-N2 ({GUIDE}): seed 8 has no finished query, so no query counts"
    assert told in (tmp_path / "sweep.md").read_text()
    assert "seed 8 has no finished query" in (tmp_path / "sweep.tex").read_text()
    with (tmp_path / "sweep.csv").open() as rows:
        (row,) = csv.DictReader(rows)
    assert (row["seeds"], row["queries"], row["missing"], row["answer"]) == ("7 8", "0", "3", "")


def test_the_order_of_a_runs_lines_changes_no_number(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("tpo", "bon"), samples=(2,), queries=6)
    first = carried_out(of)
    for cell in of.cells:
        file = of.path(cell) / "trajectories.jsonl"
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[::-1]))
    again = write_results(of, Outcome({}))
    for part in ("arms", "against", "at_equal_cost"):
        assert again[part] == first[part]
