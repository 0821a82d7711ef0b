"""The callable class for Ray Data, called as Ray calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.scale import functions
from tpo.errors import ConfigError, DataError
from tpo.ray import Optimize
from tpo.store.trajectory_line import decode_trajectory

OPTIONS: dict[str, Any] = {
    "policy": "python:tests.scale.functions:answer",
    "reward": "python:tests.scale.functions:value",
    "sample_size": 2,
    "max_iterations": 1,
}


@pytest.fixture(autouse=True)
def no_calls() -> None:
    functions.CALLS.clear()


def batch(*prompts: str, **columns: list[Any]) -> dict[str, Any]:
    return {name: np.array(values) for name, values in ({"prompt": list(prompts)} | columns).items()}


def made(given: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    optimize = Optimize(**OPTIONS | options)
    try:
        rows: list[dict[str, Any]] = optimize(given).to_pylist()
        return rows
    finally:
        optimize.close()


def test_each_prompt_has_its_answer_in_the_order_of_the_batch() -> None:
    rows = made(batch("one", "two", id=["b", "a"], kind=["x", "y"]))
    assert [(row["id"], row["prompt"]) for row in rows] == [("b", "one"), ("a", "two")]
    assert all(row["reward"] >= row["first_best_reward"] for row in rows)
    assert rows[0]["metadata"] == '{"kind": "x"}'


def test_rows_without_ids_have_the_same_answers_in_any_batch() -> None:
    together = {row["prompt"]: row for row in made(batch("one", "two"))}
    alone = made(batch("two"))[0]
    assert alone == together["two"]


def test_pairs_are_the_rows_of_the_dpo_export() -> None:
    rows = made(batch("one", "two"), rows="dpo")
    assert [set(row) >= {"prompt", "chosen", "rejected", "margin"} for row in rows] == [True, True]
    assert rows[0]["policy"].endswith("answer")
    assert all(row["margin"] > 0 for row in rows)


def test_answers_and_whole_records() -> None:
    answers = made(batch("one"), rows="sft")
    assert [turn["role"] for turn in answers[0]["messages"]] == ["user", "assistant"]
    record = made(batch("one"), rows="trajectories")[0]
    trajectory = decode_trajectory(record["trajectory"].encode() + b"\n")
    assert trajectory.best is not None
    assert trajectory.best.text == answers[0]["messages"][-1]["content"]


def test_rows_for_fine_tuning_hold_the_answer_that_was_selected() -> None:
    made_by = "python:tests.scale.functions"
    options: dict[str, Any] = {"policy": f"{made_by}:often", "reward": f"{made_by}:length"}
    options |= {"rows": "sft", "sample_size": 8, "max_iterations": 0}
    (best,) = made(batch("one"), **options)
    (selected,) = made(batch("one"), select="consensus", **options)
    assert best["messages"][-1]["content"] == "a rare answer"
    assert selected["messages"][-1]["content"] == "common"


def test_a_batch_that_comes_again_is_not_called_again(tmp_path: Path) -> None:
    first = made(batch("one", "two"), journals=tmp_path)
    before = functions.CALLS.total()
    assert made(batch("one", "two"), journals=tmp_path) == first
    assert functions.CALLS.total() == before == 2 * 6
    assert len(list(tmp_path.iterdir())) == 1


def test_rows_with_the_same_prompt_and_other_metadata_are_two_queries_in_any_batch() -> None:
    rows = made(batch("one", "one", "one", kind=["x", "y", "x"]))
    assert [row["metadata"] for row in rows] == ['{"kind": "x"}', '{"kind": "y"}']
    assert len({row["id"] for row in rows}) == 2
    assert made(batch("one", kind=["y"])) == rows[1:]


@pytest.mark.parametrize("more", [{}, {"id": ["a"]}], ids=["derived id", "own id"])
def test_a_row_whose_metadata_changed_is_answered_again(tmp_path: Path, more: dict[str, Any]) -> None:
    made(batch("one", kind=["x"], **more), journals=tmp_path)
    (row,) = made(batch("one", kind=["y"], **more), journals=tmp_path)
    assert row["metadata"] == '{"kind": "y"}'


def test_rows_without_a_prompt_end_the_batch_or_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DataError):
        made(batch("one", ""))
    assert [row["prompt"] for row in made(batch("", "one", ""), skip_invalid=True)] == ["one"]
    assert "2 rows of a batch were skipped as invalid" in caplog.text
    assert made(batch(""), skip_invalid=True) == []


def test_one_batch_at_a_time_has_all_of_the_concurrency() -> None:
    meeting: dict[str, Any] = {
        "policy": "python:tests.scale.functions:meet",
        "sample_size": 1,
        "max_iterations": 0,
    }
    optimize = Optimize(**OPTIONS | meeting, method="bon", concurrency=2)
    rows = optimize(batch("one", "two")).to_pylist()
    optimize.close()
    assert [row["status"] for row in rows] == ["finished", "finished"]


def test_one_id_for_two_questions_is_refused() -> None:
    with pytest.raises(DataError, match="two rows have the id 'a' and differ"):
        made(batch("one", "two", id=["a", "a"]))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rows": "csv"}, "there are results, dpo, sft, trajectories"),
        ({"samples": 3}, "no such option: samples"),
        ({"overlap": 0}, "at least 1"),
        ({"limit": 3}, "limit: Ray Data reads"),
        ({"reward": [OPTIONS["reward"], "python:tests.scale.functions:length"]}, "--calibration must name"),
        ({"shard": "1/2", "out": "there"}, "out, shard: Ray Data"),
        (
            {"workers": "2", "block_size": 4, "keep_parts": True},
            "workers, block_size, keep_parts: Ray Data",
        ),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Optimize(**OPTIONS | options)
