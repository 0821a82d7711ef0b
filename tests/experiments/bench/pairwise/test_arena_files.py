import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.bench.pairwise.judges import answer
from tpo.data.row import Row
from tpo.errors import DataError
from tpo.experiments.bench.pairwise.arena_files import ArenaFolder, model_name, parse_answer, read_judgments

MODEL = "small-model-tpo-D2-N5-after-seed-7"


def folder(tmp_path: Path, now: float = 5.0) -> ArenaFolder:
    return ArenaFolder(tmp_path, "arena-hard-v0.1", clock=lambda: now)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def judgment(uid: str, *scores: str | None, **more: Any) -> dict[str, Any]:
    games = [{"score": score, "judgment": {"answer": "…"}} for score in scores]
    return {"uid": uid, "category": "x", "judge": "j", "model": MODEL, "baseline": "b", "games": games} | more


def test_a_models_name_tells_its_writer_and_seed_and_is_a_files_name() -> None:
    assert model_name(answer("a")) == MODEL
    assert model_name(replace(answer("a", seed=8), generator="../x")) == "x-seed-8"
    assert model_name(replace(answer("a"), generator="")) == "model-seed-7"


def test_answers_stand_in_the_authors_format_and_place(tmp_path: Path) -> None:
    (path,) = folder(tmp_path).write_answers([answer("a", "über")])
    assert path == tmp_path / f"data/arena-hard-v0.1/model_answer/{MODEL}.jsonl"
    (row,) = lines(path)
    assert list(row) == ["uid", "ans_id", "model", "messages", "tstamp", "metadata"]
    assert (row["uid"], row["model"], row["tstamp"]) == ("a", MODEL, 5.0)
    assert row["messages"] == [
        {"role": "user", "content": "prompt a"},
        {"role": "assistant", "content": {"answer": "über"}},
    ]


def test_answers_of_before_stay_and_changed_ones_are_replaced(tmp_path: Path) -> None:
    folder(tmp_path).write_answers([answer("a"), answer("b")])
    (path,) = folder(tmp_path, now=9.0).write_answers([answer("b"), answer("a", "new"), answer("c")])
    assert [(r["uid"], r["tstamp"]) for r in lines(path)] == [("a", 9.0), ("b", 5.0), ("c", 9.0)]
    assert parse_answer(Row("x", lines(path)[0])) == ("a", "new")


def test_each_seed_has_a_file_of_its_own(tmp_path: Path) -> None:
    paths = folder(tmp_path).write_answers([answer("a"), answer("a", seed=8)])
    assert len(set(paths)) == 2


def test_the_opponents_rows_are_read_with_and_without_the_inner_object() -> None:
    for content in ("text", {"answer": "text"}):
        row = {"uid": "a", "messages": [{"role": "assistant", "content": content}]}
        assert parse_answer(Row("x:1", row)) == ("a", "text")


@pytest.mark.parametrize("messages", [None, [], "x", [{"content": 3}], [1], [{"content": {"text": "x"}}]])
def test_a_row_without_an_answer_is_refused_with_its_place(messages: object) -> None:
    with pytest.raises(DataError, match="x:1: 'messages' must end with an answer"):
        parse_answer(Row("x:1", {"uid": "a", "messages": messages}))


def test_judgments_are_written_and_read_again(tmp_path: Path) -> None:
    here = folder(tmp_path)
    here.write_judgments([judgment("a", "A>B", "B>>A"), judgment("b", "A=B", None)])
    found = read_judgments(here.judgments("j", MODEL))
    assert found["a"].games is not None
    assert (found["a"].games.first, found["a"].games.second, found["a"].judge) == ("A>B", "B>>A", "j")
    assert found["b"].games is None


def test_a_judges_name_never_leaves_the_folder(tmp_path: Path) -> None:
    path = folder(tmp_path).judgments("../../x/y", "m")
    assert path.parent.parent == tmp_path / "data/arena-hard-v0.1/model_judgment"


def test_each_judge_and_model_has_a_file_of_its_own_replaced_whole(tmp_path: Path) -> None:
    here = folder(tmp_path)
    here.write_judgments([judgment("a", "A>B", "A>B"), judgment("b", "A>B", "A>B", model="other")])
    here.write_judgments([judgment("c", "A>B", "A>B")])
    assert [row["uid"] for row in lines(here.judgments("j", MODEL))] == ["c"]
    assert [row["uid"] for row in lines(here.judgments("j", "other"))] == ["b"]


def test_the_prompts_tell_whether_it_is_this_answer_that_was_judged(tmp_path: Path) -> None:
    here = folder(tmp_path)
    prompt = [{"role": "system", "content": "s"}, {"role": "user", "content": "A: theirs B: mine"}]
    games = [{"score": "A>B", "prompt": prompt}, {"score": "A>B", "prompt": prompt}]
    here.write_judgments([judgment("a", games=games), judgment("b", "A>B", "A>B")])
    found = read_judgments(here.judgments("j", MODEL))
    assert found["a"].judges("mine")
    assert not found["a"].judges("another")
    assert found["b"].judges("anything, since the file does not tell")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"uid": "a", "judge": "j", "games": []}, "'games' must be a list of two"),
        ({"uid": "a", "judge": "j"}, "'games' must be a list of two"),
        ({"uid": "a", "judge": "j", "games": [{"score": "A"}, {"score": "A>B"}]}, "'A' is not a verdict"),
        ({"judge": "j", "games": [None, None]}, "no column 'uid'"),
    ],
)
def test_a_judgment_of_another_shape_is_refused_with_its_line(
    tmp_path: Path, row: dict[str, Any], complaint: str
) -> None:
    file = tmp_path / "m.jsonl"
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=f"m.jsonl:1: .*{complaint}"):
        read_judgments(file)
