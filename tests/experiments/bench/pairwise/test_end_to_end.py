"""From rows to results, with scripted models and judges; everything between is the real thing."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.bench.scripted import asked_of, carried_out, judge, plan, script
from tpo.errors import PolicyError
from tpo.experiments.bench.graders.judge import Judge
from tpo.experiments.bench.pairwise.alpaca_eval import ALPACA_EVAL_2
from tpo.experiments.bench.pairwise.arena_hard import ARENA_HARD_V01
from tpo.policies.scripted import PolicyCall, Reply, ScriptedPolicy
from tpo.types import Completion

DATA = Path(__file__).parent / "data"
MODELS = script("plain", "a better answer")


def arena(out: Path, reply: Reply, **more: Any) -> dict[str, Any]:
    made = plan(
        ARENA_HARD_V01,
        out,
        data=DATA / "arena-hard-v0.1-question.jsonl",
        baseline=DATA / "arena-hard-v0.1-gpt-4-0314.jsonl",
        judge=None if "judgments" in more.get("options", {}) else judge(reply),
        **more,
    )
    return carried_out(made, MODELS)


def fair(call: PolicyCall, _: int) -> str:
    """Prefers the better answer clearly, and the opponent's to a plain one a little."""
    text = asked_of(call)
    opponent_first = text.index("Opponent") < text.index("</answer_a>")
    if "better" in text:
        return "[[B>>A]]" if opponent_first else "[[A>>B]]"
    return "[[A>B]]" if opponent_first else "[[B>A]]"


def leading(record: dict[str, Any], when: str) -> dict[str, Any]:
    metric: dict[str, Any] = record["methods"][0]["by_when"][when][0]
    return metric


def test_arena_hard_tells_what_aligning_changed_and_by_whom(tmp_path: Path) -> None:
    record = arena(tmp_path, fair)
    assert (leading(record, "before")["value"], leading(record, "after")["value"]) == (0.0, 100.0)
    after = leading(record, "after")
    assert after["by"] == "scripted-judge"
    assert "not the paper's judge, gpt-4-1106-preview" in after["note"]
    assert "tpo's own wording" in after["note"]


def test_a_baseline_of_another_opponent_is_labelled_as_such(tmp_path: Path) -> None:
    own = (DATA / "arena-hard-v0.1-gpt-4-0314.jsonl").read_text().replace("gpt-4-0314", "some-model")
    (tmp_path / "own.jsonl").write_text(own)
    made = plan(
        ARENA_HARD_V01,
        tmp_path / "out",
        data=DATA / "arena-hard-v0.1-question.jsonl",
        baseline=tmp_path / "own.jsonl",
        policy="hf:meta-llama/Llama-3.1-70B-Instruct",
        judge=Judge("gpt-4-1106-preview", ScriptedPolicy(fair)),
        shows_paper=True,
    )
    record = carried_out(made, MODELS)
    note = leading(record, "after")["note"]
    assert "against some-model" in note
    assert "against gpt-4-0314" not in note
    assert "not the published opponent, gpt-4-0314" in note
    (beside,) = record["methods"][0]["beside"]
    assert (beside["difference"], beside["why"]) == (None, "not the published opponent, gpt-4-0314")
    (judgments,) = (tmp_path / "out").glob("data/*/model_judgment/*/*after*.jsonl")
    assert {json.loads(line)["baseline"] for line in judgments.read_text().splitlines()} == {"some-model"}


def test_the_authors_files_hold_every_answer_though_equal_ones_are_judged_once(tmp_path: Path) -> None:
    calls = []

    def reply(call: PolicyCall, index: int) -> str:
        calls.append(call)
        return fair(call, index)

    arena(tmp_path, reply, methods=("tpo", "bon"))
    assert len(calls) == 2 * 4 * 2  # two games, four prompts, two texts: bon's and before's are the same
    files = sorted((tmp_path / "data/arena-hard-v0.1/model_answer").iterdir())
    judged = sorted((tmp_path / "data/arena-hard-v0.1/model_judgment/scripted-judge").iterdir())
    assert [file.name for file in files] == [file.name for file in judged]
    assert len(files) == 4
    assert {len(file.read_text().splitlines()) for file in files + judged} == {4}


def test_a_judge_that_dies_costs_nothing_that_was_judged(tmp_path: Path) -> None:
    asked: list[str] = []
    heard: set[str] = set()

    def dying(call: PolicyCall, index: int) -> str | Exception:
        text = asked_of(call)
        gone = "mutex" in text or text in heard  # by the time that anything is asked again
        heard.add(text)
        return PolicyError("gone") if gone else fair(call, index)

    def listening(call: PolicyCall, index: int) -> str:
        asked.append(asked_of(call))
        return fair(call, index)

    with pytest.raises(PolicyError, match="gone"):
        arena(tmp_path, dying)
    record = arena(tmp_path, listening)
    assert leading(record, "after")["graded"] == 4
    assert asked
    assert all("mutex" in text for text in asked)


def test_judgments_of_others_are_waited_for_and_then_read(tmp_path: Path) -> None:
    place = tmp_path / "judgments"
    record = arena(tmp_path / "out", "", options={"judgments": str(place)})
    assert (leading(record, "after")["value"], leading(record, "after")["ungraded"]) == (None, 4)
    place.mkdir()
    for file in (tmp_path / "out/data/arena-hard-v0.1/model_answer").iterdir():
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        games = [{"score": "A>B"}, {"score": "A>>B"}]
        lines = [
            json.dumps({"uid": row["uid"], "judge": "gpt-4-1106-preview", "games": games}) for row in rows
        ]
        (place / file.name).write_text("\n".join(lines) + "\n")
    record = arena(tmp_path / "out", "", options={"judgments": str(place)})
    after = leading(record, "after")
    assert (after["value"], after["by"]) == (75.0, "gpt-4-1106-preview")
    assert "not the paper's judge" not in after["note"]


def test_alpaca_eval_tells_the_plain_rate_and_refuses_length_control_on_other_rows(tmp_path: Path) -> None:
    pytest.importorskip("alpaca_eval")

    def weigh(call: PolicyCall, _: int) -> Completion:
        text = asked_of(call)
        mine = text.find("a better answer")
        first = 0.5 if mine < 0 else 0.8 if mine < text.index("The baseline answers") else 0.2
        return Completion(0, "m", alternatives=({"m": math.log(first), "M": math.log(1 - first)},))

    made = plan(
        ALPACA_EVAL_2,
        tmp_path,
        data=DATA / "alpaca_eval_gpt4_baseline.json",
        judge=Judge("openai/gpt-4-1106-preview", ScriptedPolicy(weigh)),
    )
    record = carried_out(made, MODELS)
    plain, controlled = record["methods"][0]["by_when"]["after"]
    assert controlled["value"] is None
    assert controlled["note"].startswith("refused: it needs the whole set in its order")
    assert plain["value"] == pytest.approx(80.0)
    assert "not the paper's judge" not in plain["note"]
    (file,) = tmp_path.glob("results/*after*/model_outputs.json")
    published = json.loads((DATA / "alpaca_eval_gpt4_baseline.json").read_text())
    outputs = json.loads(file.read_text())
    assert [row["instruction"] for row in outputs] == [row["instruction"] for row in published]
    assert outputs[0] == {
        "dataset": published[0]["dataset"],
        "instruction": published[0]["instruction"],
        "output": "a better answer",
        "generator": file.parent.name,
    }


def test_length_control_is_not_computed_against_another_opponent(tmp_path: Path) -> None:
    pytest.importorskip("alpaca_eval")
    own = (DATA / "alpaca_eval_gpt4_baseline.json").read_text().replace("gpt4_1106_preview", "some-model")
    (tmp_path / "own.json").write_text(own)
    reply = Completion(0, "m", alternatives=({"m": -0.1, "M": -2.4},))
    made = plan(
        ALPACA_EVAL_2,
        tmp_path / "out",
        data=DATA / "alpaca_eval_gpt4_baseline.json",
        baseline=tmp_path / "own.json",
        judge=judge(reply),
    )
    plain, controlled = carried_out(made, MODELS)["methods"][0]["by_when"]["after"]
    assert "against some-model" in plain["note"]
    assert controlled["value"] is None
    assert controlled["note"].startswith(
        "refused: its difficulties are for answers against gpt4_1106_preview"
    )


def test_the_win_rate_and_its_change_have_one_estimator(tmp_path: Path) -> None:
    """A clear win is three battles in the rate; so it is in the change, its interval and its p."""

    def mixed(call: PolicyCall, _: int) -> str:
        text = asked_of(call)
        opponent_first = text.index("Opponent") < text.index("</answer_a>")
        mine_wins = ("better" in text) == ("mutex" in text)
        strength = ">>" if "mutex" in text and "better" in text else ">"
        best, other = ("B", "A") if opponent_first == mine_wins else ("A", "B")
        return f"[[{best}{strength}{other}]]"

    record = arena(tmp_path, mixed, methods=("tpo", "bon"))
    before, after = leading(record, "before")["value"], leading(record, "after")["value"]
    change = record["methods"][0]["change"]
    # One query of four goes from lost to clearly won, three from won to lost: 6 of 8 battles, then 6 of 12.
    assert (before, after) == (75.0, 50.0)
    assert change["difference"]["value"] == pytest.approx(after - before)
    assert (change["wins"], change["losses"]) == (1, 3)
    paired = record["against"][0]["paired"]
    assert paired["difference"]["value"] == pytest.approx(after - before)
    said = (tmp_path / "results.md").read_text()
    assert "win_rate of tpo D1-N2 after: the authors' interval" in said.replace("\\_", "_")
