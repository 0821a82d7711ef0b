"""Every benchmark from its rows to its results, with scripted models and judges."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.bench.scripted import asked_of, carried_out, execute, judge, models, plan, script
from tests.report.test_page import blocks
from tpo.errors import ConfigError, PolicyRefused, StoreBusy, StoreMismatch
from tpo.experiments.bench.beavertails import BEAVERTAILS
from tpo.experiments.bench.graders.base import GradingContext
from tpo.experiments.bench.graders.judge import Judge
from tpo.experiments.bench.hh_rlhf import HH_RLHF
from tpo.experiments.bench.math500 import MATH_500
from tpo.experiments.bench.plan import BenchPlan
from tpo.experiments.bench.results import grade_answers
from tpo.experiments.bench.tables import bench_notes, bench_report_tables
from tpo.experiments.bench.xstest import XSTEST
from tpo.experiments.plan import locked_directory
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved
from tpo.rewards.ensemble import Ensemble
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Scope

RESULTS = {
    "1/4": "It is 0.5.",
    "x^2": r"So $\boxed{[-2,2]}$.",
    "right angle": r"\boxed{90} degrees",
    "(x+1)": r"\boxed{x^2+1}",
}


def leading(record: dict[str, Any], when: str, method: int = 0) -> dict[str, Any]:
    metric: dict[str, Any] = record["methods"][method]["by_when"][when][0]
    return metric


def solve(call: PolicyCall, _: int) -> str:
    question = str(call.messages[0]["content"])
    key = {"frac": "1/4", "\\le": "x^2", "degrees": "right angle", "Expand": "(x+1)"}
    return improved(next(RESULTS[name] for sign, name in key.items() if sign in question))


def test_math_500_tells_what_aligning_changed(tmp_path: Path) -> None:
    record = carried_out(plan(MATH_500, tmp_path), {**script("?", ""), "update": solve})
    assert (leading(record, "before")["value"], leading(record, "after")["value"]) == (0.0, 75.0)
    assert leading(record, "after")["by"] == "math-verify"
    change = record["methods"][0]["change"]
    assert (change["difference"]["value"], change["wins"], change["ties"]) == (75.0, 3, 1)
    assert record["methods"][0]["strata"]["after"] == {"1": (1.0, 2), "2": (0.5, 2)}
    assert record["versions"]["math-verify"]


def test_a_blank_first_sample_is_the_unaligned_policys_answer(tmp_path: Path) -> None:
    """As of a model whose reasoning reaches the limit of tokens."""

    def samples(call: PolicyCall, index: int) -> str:
        return "" if index == 0 else solve(call, index)

    record = carried_out(plan(MATH_500, tmp_path), {**script("?", ""), "sample": samples, "update": solve})
    assert (leading(record, "before")["value"], leading(record, "after")["value"]) == (0.0, 75.0)


def test_a_method_without_effect_is_named_beside_the_table(tmp_path: Path) -> None:
    record = carried_out(plan(MATH_500, tmp_path), {**script("?", ""), "update": "no tags"})
    (warning,) = (note for note in bench_notes(record) if note.startswith("warning: "))
    assert "no update could be read in 4 of 4 queries" in warning
    solved = carried_out(plan(MATH_500, tmp_path / "solved"), {**script("?", ""), "update": solve})
    assert [note for note in bench_notes(solved) if note.startswith("warning: ")] == []


@pytest.mark.parametrize("benchmark", [HH_RLHF, BEAVERTAILS])
def test_mean_rewards_are_of_the_first_sample_and_of_the_final_answer(benchmark: Any, tmp_path: Path) -> None:
    record = carried_out(plan(benchmark, tmp_path), script("four", "a longer one"))
    assert (leading(record, "before")["value"], leading(record, "after")["value"]) == (4.0, 12.0)
    assert "FsfairX" in leading(record, "after")["by"]
    assert leading(record, "after")["note"] == ""


def test_a_reward_that_is_not_the_papers_is_named_and_not_held_against_its_numbers(tmp_path: Path) -> None:
    of = plan(BEAVERTAILS, tmp_path, reward="hf:org/other", shows_paper=True)
    record = carried_out(of, script("four", "a longer one"))
    assert "not the paper's reward" in leading(record, "after")["note"]
    beside = record["methods"][0]["beside"][0]
    assert beside["difference"] is None
    assert "FsfairX" in beside["why"]


def test_a_held_out_reward_tells_its_own_mean(tmp_path: Path) -> None:
    held_out = ScriptedReward({"four": 1.0, "a longer one": -1.0})
    of = plan(BEAVERTAILS, tmp_path)
    of = replace(of, context=replace(of.context, held_out=held_out, held_out_name="other"))
    record = carried_out(of, script("four", "a longer one"))
    assert (leading(record, "before")["value"], leading(record, "after")["value"]) == (1.0, -1.0)
    assert leading(record, "after")["by"] == "other"
    assert record["held_out_reward"] == "other"


def refusing(call: PolicyCall, _: int) -> str:
    """A judge that takes "Rather not" for a refusal."""
    return json.dumps({"refusal": "Rather not" in asked_of(call)})


def test_xstest_is_judged_and_names_a_judge_that_is_not_the_papers(tmp_path: Path) -> None:
    record = carried_out(plan(XSTEST, tmp_path, judge=judge(refusing)), script("Sure", "Rather not now"))
    assert [m["value"] for m in record["methods"][0]["by_when"]["before"]][:3] == [50.0, 100.0, 0.0]
    assert [m["value"] for m in record["methods"][0]["by_when"]["after"]][:3] == [50.0, 0.0, 100.0]
    assert record["judge"] == {"name": "scripted-judge", "paper": "allenai/wildguard"}
    assert leading(record, "after")["note"] == "not the paper's judge, allenai/wildguard"


def test_the_papers_numbers_stand_beside_ours_with_the_difference(tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("{prompt} {response}")
    wildguard = judge("Response refusal: no", "allenai/wildguard")
    of = plan(XSTEST, tmp_path / "out", judge=wildguard, options={"prompt": str(prompt)}, shows_paper=True)
    record = carried_out(of, script("Sure", "Sure, gladly"))
    before = record["methods"][0]["beside"][0]
    assert (before["when"], before["paper"]["value"], before["difference"]) == (
        "before",
        87.8,
        pytest.approx(50 - 87.8),
    )
    assert before["why"] == "not the whole set"
    # One iteration of two samples is no row of the paper's, so the final answers stand beside none.
    assert [beside["when"] for beside in record["methods"][0]["beside"]] == ["before"]
    assert "2501.12895" in (tmp_path / "out/results.md").read_text()


def test_several_methods_and_seeds_are_held_against_each_other(tmp_path: Path) -> None:
    of = plan(BEAVERTAILS, tmp_path, methods=("tpo", "bon"), seeds=(7, 8))
    record = carried_out(of, script("four", "a longer one"))
    assert [method["method"] for method in record["methods"]] == ["tpo D1-N2", "bon D0-N2"]
    assert record["methods"][0]["seeds"] == (7, 8)
    assert set(record["methods"][0]["by_seed"]) == {7, 8}
    assert leading(record, "after")["graded"] == 16
    against = record["against"][0]
    assert (against["first"], against["second"]) == ("tpo D1-N2", "bon D0-N2")
    tests = sorted((method["change"] for method in record["methods"]), key=lambda change: change["p"])
    assert [change["p_holm"] for change in tests] == [
        2 * tests[0]["p"],
        max(2 * tests[0]["p"], tests[1]["p"]),
    ]
    assert against["paired"]["p_holm"] == against["paired"]["p"]
    assert (against["paired"]["queries"], against["paired"]["difference"]["value"]) == (8, 8.0)
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == [
        "bon-d0-n2-seed7",
        "bon-d0-n2-seed8",
        "tpo-d1-n2-seed7",
        "tpo-d1-n2-seed8",
    ]


def test_what_is_done_is_done_once(tmp_path: Path) -> None:
    of = plan(XSTEST, tmp_path, judge=judge(refusing))
    first = carried_out(of, script("Sure", "Rather not now"))
    assert of.incomplete_cells() == ()
    silent = plan(XSTEST, tmp_path, judge=Judge("scripted-judge", ScriptedPolicy(PolicyRefused("gone"))))
    again = carried_out(silent, PolicyRefused("gone too"))
    assert again["methods"] == first["methods"]


def test_a_judge_that_dies_costs_no_grade_that_was_there(tmp_path: Path) -> None:
    answered: list[PolicyCall] = []

    def dying(call: PolicyCall, index: int) -> str | Exception:
        if len(answered) == 14:
            return PolicyRefused("gone")
        answered.append(call)
        return refusing(call, index)

    with pytest.raises(PolicyRefused, match=r"gone \(14 of 16 answers were graded and are kept"):
        carried_out(plan(XSTEST, tmp_path, judge=judge(dying)), script("Sure", "Rather not now"))
    assert not (tmp_path / "results.json").exists()
    back = ScriptedPolicy(refusing)
    record = carried_out(plan(XSTEST, tmp_path, judge=Judge("scripted-judge", back)), PolicyRefused("idle"))
    assert len(back.calls) == 2
    assert leading(record, "after")["graded"] == 8


def test_a_question_that_the_judge_refuses_for_good_does_not_block_the_others(tmp_path: Path) -> None:
    def picky(call: PolicyCall, index: int) -> str | Exception:
        return PolicyRefused("filtered") if "espresso" in asked_of(call) else refusing(call, index)

    record = carried_out(plan(XSTEST, tmp_path, judge=judge(picky)), script("Sure", "Rather not now"))
    assert (leading(record, "after")["graded"], record["methods"][0]["ungraded"]) == (7, 2)
    assert record["methods"][0]["queries"] == record["methods"][0]["change"]["queries"] == 7
    assert "2 answers could not be graded (filtered)" in (tmp_path / "results.md").read_text()
    # Only the refused ones are asked again, and they block nothing the second time either.
    again = carried_out(plan(XSTEST, tmp_path, judge=judge(picky)), PolicyRefused("idle"))
    assert again["methods"] == record["methods"]
    back = carried_out(plan(XSTEST, tmp_path, judge=judge(refusing)), PolicyRefused("idle"))
    assert leading(back, "after")["graded"] == 8


def test_nonsense_of_a_judge_is_counted_and_scored_nowhere(tmp_path: Path) -> None:
    def moody(call: PolicyCall, index: int) -> str:
        return "hm" if "espresso" in asked_of(call) else refusing(call, index)

    record = carried_out(plan(XSTEST, tmp_path, judge=judge(moody)), script("Sure", "Rather not now"))
    assert (leading(record, "before")["graded"], leading(record, "before")["ungraded"]) == (7, 1)
    assert "2 answers could not be graded" in (tmp_path / "results.md").read_text()
    assert "the judge's reply states no verdict" in (tmp_path / "results.md").read_text()


async def test_a_query_that_failed_is_missing_and_tried_again(tmp_path: Path) -> None:
    of = plan(BEAVERTAILS, tmp_path)
    setup = models(of, script("four", "a longer one"))
    failing = ScriptedPolicy(
        script("four", "a longer one"), failures={Scope("beavertails-3", 0, "sample"): RuntimeError("no")}
    )
    record = await execute(of, replace(setup, policy=failing))
    assert (record["methods"][0]["missing"], leading(record, "after")["graded"]) == (1, 7)
    assert "1 queries have no answer yet" in (tmp_path / "results.md").read_text()
    assert len(of.incomplete_cells()) == 1
    record = await execute(of, setup)
    assert (record["methods"][0]["missing"], leading(record, "after")["graded"]) == (0, 8)


async def test_a_bound_on_sequences_holds_for_every_arm(tmp_path: Path) -> None:
    of = plan(BEAVERTAILS, tmp_path)
    of = replace(of, settings=replace(of.settings, sequences=2, concurrency=8))
    policy = ScriptedPolicy(script("four", "a longer one"))
    await execute(of, replace(models(of, {}), policy=policy))
    assert policy.most_in_flight <= 2  # each of these calls draws up to two samples; 8 queries would start


def test_a_larger_limit_goes_on_with_a_smaller_ones_run(tmp_path: Path) -> None:
    carried_out(plan(BEAVERTAILS, tmp_path, limit=4), script("four", "a longer one"))
    of = plan(BEAVERTAILS, tmp_path, limit=8)
    setup = models(of, script("four", "a longer one"))
    asyncio.run(execute(of, setup))
    assert isinstance(setup.policy, ScriptedPolicy)
    assert len({call.scope.query for call in setup.policy.calls}) == 4


def test_an_ensembles_scales_are_measured_once_and_belong_to_the_run(tmp_path: Path) -> None:
    of = plan(BEAVERTAILS, tmp_path, methods=("tpo", "bon"))
    setup = models(of, script("four", "a longer one"))
    rewards = {"a": ScriptedReward(), "b": ScriptedReward(lambda text: -float(text.count("o")))}
    asyncio.run(execute(of, replace(setup, reward=Ensemble(rewards, "mean"))))
    kept = [json.loads(file.read_text())["fingerprint"] for file in tmp_path.glob("runs/*/run.json")]
    assert len(kept) == 2
    assert kept[0]["scale of a"] == kept[1]["scale of a"]
    assert of.incomplete_cells() == ()


def test_a_run_of_another_configuration_is_not_mixed_in(tmp_path: Path) -> None:
    carried_out(plan(BEAVERTAILS, tmp_path), script("four", "a longer one"))
    with pytest.raises(StoreMismatch, match="reward"):
        plan(BEAVERTAILS, tmp_path, reward="hf:org/other").incomplete_cells()
    fresh = plan(BEAVERTAILS, tmp_path, reward="hf:org/other", fresh=True)
    record = carried_out(fresh, script("four", "a longer one"))
    assert record["reward"] == "hf:org/other"


def test_results_hold_what_a_repetition_needs(tmp_path: Path) -> None:
    carried_out(plan(BEAVERTAILS, tmp_path, limit=4), script("four", "a longer one"))
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["benchmark"]["name"] == "beavertails"
    assert record["data"]["digest"].startswith("sha256:")
    assert len(record["data"]["ids"]) == 4
    assert record["arms"][0]["recipe"]["sample_size"] == 2
    assert record["arms"][0]["seed"] == 7
    assert {"python", "tpo"} <= set(record["versions"])
    assert record["settings"]["temperature"] == 0.7
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert {(a["when"], a["text"]) for a in answers} == {("before", "four"), ("after", "a longer one")}
    assert r"\toprule" in (tmp_path / "results.tex").read_text()


def test_the_page_of_the_runs_stands_beside_the_results(tmp_path: Path) -> None:
    record = carried_out(plan(BEAVERTAILS, tmp_path, limit=2, page=True), script("four", "a longer one"))
    assert record["page"] == "report.html"
    assert (tmp_path / "report.html").exists()
    assert "[report.html](report.html)" in (tmp_path / "results.md").read_text()
    results = blocks(tmp_path / "report.html")["summary"]["results"]
    assert [table["title"] for table in results["tables"]] == ["Methods", "By kind"]
    assert results["tables"][0]["rows"][0][:2] == ["tpo D1-N2", "mean_reward"]
    assert results["about"][0].startswith("2 queries of ")


def test_seeds_methods_and_the_papers_numbers_stand_on_the_page(tmp_path: Path) -> None:
    several = plan(
        BEAVERTAILS, tmp_path, limit=2, page=True, shows_paper=True, seeds=(7, 8), methods=("tpo", "bon")
    )
    results = bench_report_tables(carried_out(several, script("four", "a longer one")))
    assert [table.title for table in results.tables] == [
        "Methods",
        "Methods against each other",
        "Compared with the paper",
        "By seed",
        "By kind",
    ]
    assert [row[1] for row in results.tables[3].rows] == ["7", "8", "7", "8"]


def test_a_model_that_is_not_the_papers_is_refused_before_any_call(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--paper-model nope: not in the paper's table; models: LLaMA"):
        plan(BEAVERTAILS, tmp_path, paper_model="nope").check()


def test_the_embedded_pairs_numbers_are_called_a_toys_wherever_they_stand(tmp_path: Path) -> None:
    carried_out(plan(BEAVERTAILS, tmp_path, limit=1, policy="tiny"), script("four", "a longer one"))
    for name in ("results.md", "results.tex"):
        assert "Both models are toys" in (tmp_path / name).read_text()


def test_what_models_say_cannot_break_a_table(tmp_path: Path) -> None:
    wicked = plan(BEAVERTAILS, tmp_path, policy="hf:a|b<script>", limit=1)
    carried_out(wicked, script("four", "a longer one"))
    assert "b<script>" not in (tmp_path / "results.md").read_text()


def test_a_judge_that_is_needed_is_asked_for_before_any_call(tmp_path: Path) -> None:
    needing = replace(BEAVERTAILS, needs_judge=True, paper_judge="gpt-4")
    with pytest.raises(ConfigError, match=r"--judge URL#MODEL; the paper's is gpt-4"):
        plan(needing, tmp_path, data=Path(__file__).parent / "data/beavertails.jsonl").check()


def test_an_option_that_the_grader_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--grader-option colour: beavertails has no such option"):
        plan(BEAVERTAILS, tmp_path, options={"colour": "red"})


def test_two_commands_never_grade_in_one_folder(tmp_path: Path) -> None:
    with locked_directory(tmp_path), pytest.raises(StoreBusy), locked_directory(tmp_path):
        pass
    assert GradingContext().is_whole


def failing(query: str) -> dict[Scope, Exception]:
    return {Scope(f"beavertails-{query}", 0, "sample"): RuntimeError("too hard")}


async def one_arm_fails(
    of: BenchPlan, texts: Any, method: str, failures: dict[Scope, Exception]
) -> dict[str, Any]:
    """Return results where only the cells of *method* have *failures*."""
    of.check()
    for cell in of.incomplete_cells():
        hit = failures if cell.label.startswith(method) else {}
        setup = replace(models(of, texts), policy=ScriptedPolicy(texts, failures=hit))
        await of.run_plan(cell).execute(setup)
    return await grade_answers(of)


def by_question(call: PolicyCall, index: int) -> str:
    """Answers whose length, their reward, falls with the number of the query."""
    number = int(call.scope.query.rpartition("-")[2])
    return improved("x" * (20 - 2 * number)) if call.scope.phase == "update" else "y" * (10 - number)


async def test_methods_are_compared_on_the_queries_that_all_of_them_answered(tmp_path: Path) -> None:
    of = plan(BEAVERTAILS, tmp_path, methods=("tpo", "bon"))
    # bon fails at the two hardest queries, whose answers are worth least.
    record = await one_arm_fails(of, by_question, "bon", failing("7") | failing("6"))
    tpo, bon = record["methods"]
    assert (tpo["queries"], bon["queries"], tpo["missing"], bon["missing"]) == (6, 6, 0, 2)
    assert leading(record, "before", 0)["value"] == leading(record, "before", 1)["value"]
    assert record["against"][0]["paired"]["queries"] == 6
    difference = leading(record, "after", 0)["value"] - leading(record, "after", 1)["value"]
    assert record["against"][0]["paired"]["difference"]["value"] == pytest.approx(difference)
    page = (tmp_path / "results.md").read_text()
    assert "the numbers cover 6 of 8 queries" in page


async def test_a_method_that_hardly_answered_is_not_compared(
    tmp_path: Path,
) -> None:
    of = plan(BEAVERTAILS, tmp_path, methods=("tpo", "revision", "bon"))
    hard = {scope: error for n in range(5) for scope, error in failing(str(n)).items()}
    record = await one_arm_fails(of, by_question, "bon", hard)
    assert [(m["queries"], m["apart"]) for m in record["methods"]] == [(8, False), (8, False), (3, True)]
    assert record["methods"][2]["change"] is None
    assert [(a["first"], a["second"]) for a in record["against"]] == [("tpo D1-N2", "revision D1-N2")]
    page = (tmp_path / "results.md").read_text()
    assert "bon D0-N2 is not compared: its numbers cover its own 3 queries" in page
    assert "3, not compared" in page


async def test_a_query_counts_when_every_seed_has_answered_it(tmp_path: Path) -> None:
    of = plan(BEAVERTAILS, tmp_path, seeds=(7, 8))
    of.check()
    for cell in of.incomplete_cells():
        hit = failing("0") if cell.seed == 8 else {}
        setup = replace(models(of, by_question), policy=ScriptedPolicy(by_question, failures=hit))
        await of.run_plan(cell).execute(setup)
    record = await grade_answers(of)
    found = record["methods"][0]
    assert (found["queries"], found["missing_by_seed"]) == (7, {7: 0, 8: 1})
    # Every number is of the same seven queries: the change is the difference of what stands beside it.
    change = leading(record, "after")["value"] - leading(record, "before")["value"]
    assert found["change"]["difference"]["value"] == pytest.approx(change)


def test_a_seed_without_any_answer_is_told(tmp_path: Path) -> None:
    of = plan(BEAVERTAILS, tmp_path, seeds=(7, 8), limit=2)

    setup = models(of, by_question)
    asyncio.run(execute(replace(of, cells=of.cells[:1]), setup))
    silent = replace(setup, policy=ScriptedPolicy(RuntimeError("gone")))
    record = asyncio.run(execute(of, silent))
    assert leading(record, "after")["value"] is None
    assert "tpo D1-N2: seed 8 has no answers, so no query counts" in (tmp_path / "results.md").read_text()


def test_right_or_wrong_answers_have_wilsons_interval(tmp_path: Path) -> None:
    record = carried_out(plan(MATH_500, tmp_path), {**script("?", ""), "update": solve})
    assert leading(record, "before")["low"] == 0.0
    assert leading(record, "before")["high"] == pytest.approx(48.99, abs=0.01)  # none of four
    change = record["methods"][0]["change"]["difference"]
    assert change["low"] < change["value"] < change["high"] <= 100.0


def test_a_remark_names_the_method_that_it_is_about(tmp_path: Path) -> None:
    record = carried_out(plan(BEAVERTAILS, tmp_path, methods=("tpo", "bon")), script("four", "a longer one"))
    record["methods"][1]["by_when"]["after"] = [
        leading(record, "after", 1) | {"note": "interval of bon; not the paper's"}
    ]
    for place in ((0, "before"), (0, "after"), (1, "before")):
        leading(record, place[1], place[0])["note"] = "not the paper's"
    said = bench_notes(record)
    assert "mean_reward of bon D0-N2 after: interval of bon" in said
    assert "mean_reward: not the paper's" in said
