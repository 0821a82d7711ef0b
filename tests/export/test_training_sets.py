"""Preference pairs and answers as files: their rows, what is left out, and that ``datasets`` reads them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from tests.export.trajectories import candidate, failed, finished
from tests.steps import first_step
from tpo.errors import ConfigError, DataError
from tpo.export import Eligible, Exported, Models, Pairing, Steps, export_dpo, export_sft
from tpo.export import answers as sft
from tpo.export import preferences as dpo
from tpo.export.eligible import EVERYTHING
from tpo.store.runfile import RunRecord, write_run
from tpo.types import Message, Trajectory, assistant, system, user

MODELS = Models("llama", "skywork")
PAIR = {
    "prompt": [{"role": "user", "content": "Why?"}],
    "chosen": [{"role": "assistant", "content": "because of rain"}],
    "rejected": [{"role": "assistant", "content": "no idea"}],
    "chosen_reward": 2.5,
    "rejected_reward": -3.0,
    "margin": 5.5,
    "query_id": "q0",
    "chosen_id": "1.0",
    "rejected_id": "0.1",
    "chosen_step": 1,
    "rejected_step": 0,
    "chosen_finish_reason": "stop",
    "rejected_finish_reason": "stop",
    "method": "paper",
    "policy": "llama",
    "reward_model": "skywork",
}
ANSWER = {
    "messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "because of rain"}],
    "reward": 2.5,
    "query_id": "q0",
    "candidate_id": "1.0",
    "step": 1,
    "finish_reason": "stop",
    "method": "paper",
    "policy": "llama",
    "reward_model": "skywork",
}


def asking(*messages: Message) -> Trajectory:
    whole = finished()
    return replace(whole, query=replace(whole.query, messages=messages))


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


@pytest.fixture(params=[".jsonl", ".parquet"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return tmp_path / f"set{request.param}"


def test_a_pair_is_what_trl_reads_and_tells_where_it_comes_from(path: Path) -> None:
    assert export_dpo([finished()], path, models=MODELS) == Exported(1)
    assert read(path) == [PAIR]
    assert list(read(path)[0]) == list(dpo.COLUMNS)


def test_an_answer_is_a_conversation_and_tells_where_it_comes_from(path: Path) -> None:
    assert export_sft([finished()], path, models=MODELS) == Exported(1)
    assert read(path) == [ANSWER]
    assert list(read(path)[0]) == list(sft.COLUMNS)


def test_the_answer_that_the_selection_chose_is_used_if_it_is_eligible(path: Path) -> None:
    def exported(selected: str, eligible: Eligible = EVERYTHING) -> str:
        export_sft([replace(chosen, selected=selected)], path, eligible)
        return str(read(path)[0]["candidate_id"])

    responses = [candidate(0, 0, "fair", 1.0), candidate(0, 1, " ", 0.0), candidate(0, 2, "good", 2.0)]
    chosen = replace(finished(), first=first_step(responses), steps=(), selection="consensus")
    assert exported("0.0") == "0.0"
    assert exported("0.1") == "0.2", "a blank response is never used"
    chosen = replace(chosen, first=first_step([candidate(0, 0, "too long", 1.0), *responses[1:]]))
    assert exported("0.0", Eligible(max_characters=4)) == "0.2"


def test_queries_that_give_nothing_are_counted_by_why(path: Path) -> None:
    picture = asking({"role": "user", "content": [{"type": "image", "url": "a.png"}]})
    alone = replace(finished(), first=first_step([candidate(0, 0, "one", 1.0)]), steps=())
    everything = [failed("a"), finished(), picture, alone, failed("b")]
    assert export_dpo(everything, path) == Exported(1, 2, nothing=1, not_text=1)
    short = Eligible(max_characters=3)
    assert export_sft(everything, path, short) == Exported(1, 2, nothing=1, not_text=1)
    assert read(path)[0]["messages"][-1]["content"] == "one"


def test_the_options_reach_the_file(path: Path) -> None:
    assert export_dpo([finished()], path, Pairing("all", min_margin=3)).written == 2
    export_sft([finished()], path, Eligible(Steps.parse("0")))
    assert [row["candidate_id"] for row in read(path)] == ["0.0"]


def test_every_turn_is_a_role_and_a_text_whatever_the_query_looked_like(path: Path) -> None:
    parts = {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    named: Message = {"role": "user", "content": "x", "name": "Ann"}
    turns = asking(system("be kind"), named, assistant("y"), parts)  # type: ignore[arg-type]  # a plain dict
    export_dpo([turns], path)
    roles = [("system", "be kind"), ("user", "x"), ("assistant", "y"), ("user", "a\nb")]
    assert [(turn["role"], turn["content"]) for turn in read(path)[0]["prompt"]] == roles
    assert all(set(turn) == {"role", "content"} for turn in read(path)[0]["prompt"])


def test_a_turn_that_calls_a_tool_is_more_than_text(path: Path) -> None:
    calling: Any = {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}
    assert export_dpo([asking(user("x"), calling, user("y"))], path) == Exported(0, not_text=1)


def test_whole_rewards_are_written_as_numbers_with_a_fraction(path: Path) -> None:
    export_dpo(
        [replace(finished(), first=first_step([candidate(0, 0, "a", 1), candidate(0, 1, "b", 0)]), steps=())],
        path,
    )
    assert isinstance(read(path)[0]["margin"], float)


@pytest.mark.parametrize("export", [export_dpo, export_sft])
def test_another_suffix_is_refused_before_anything_is_read(export: Any, tmp_path: Path) -> None:
    def never() -> Iterator[Trajectory]:
        raise AssertionError
        yield

    with pytest.raises(ConfigError, match=r"out\.csv: a training set .* \.jsonl or \.parquet"):
        export(never(), tmp_path / "out.csv")


def test_an_error_on_the_way_leaves_what_stood_there(path: Path) -> None:
    def breaking() -> Iterator[Trajectory]:
        yield from (finished(f"q{i}") for i in range(2000))
        raise DataError("the disk is gone")

    path.write_text("before")
    with pytest.raises(DataError):
        export_dpo(breaking(), path)
    assert path.read_text() == "before"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["dpo", "sft"])
def test_datasets_reads_it_odd_texts_and_all(path: Path, kind: str, tmp_path: Path) -> None:
    odd = replace(
        finished("odd", 'quo"te \u2028 \u202e </script> 🙂'),
        first=first_step([candidate(0, 0, "cut \ud83d", 9.0), candidate(0, 1, "", -9.0)]),
    )
    export = export_dpo if kind == "dpo" else export_sft
    export([finished(), odd, *(finished(f"q{i}") for i in range(1500))], path)
    rows = load_dataset(
        {".jsonl": "json", ".parquet": "parquet"}[path.suffix],
        data_files=str(path),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert len(rows) == 1502
    answer = rows[1]["chosen"] if kind == "dpo" else rows[1]["messages"][1:]
    assert answer == [{"role": "assistant", "content": "cut \\ud83d"}]
    prompt = rows[1]["prompt"] if kind == "dpo" else rows[1]["messages"][:1]
    assert prompt == [{"role": "user", "content": odd.query.text}]


def test_the_run_tells_its_models(tmp_path: Path) -> None:
    shape = {"policy": "llama", "reward": {"names": ["a", "b"], "combine": "mean"}}
    write_run(tmp_path, RunRecord({}, shape).begin(1.0))
    (tmp_path / "trajectories.jsonl").touch()
    expected = Models("llama", '{"names": ["a", "b"], "combine": "mean"}')
    assert Models.of_run(tmp_path) == expected
    assert Models.of_run(tmp_path / "trajectories.jsonl") == expected


def test_a_run_without_its_record_is_exported_without_names_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert Models.of_run(tmp_path) == Models()
    assert "left without their names" in caplog.text
