"""The table of answers, in its three formats."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.export.trajectories import candidate, failed, finished
from tests.steps import first_step
from tpo.errors import ConfigError
from tpo.export import Exported, export_results
from tpo.export.results import COLUMNS

ANSWERED = {
    "id": "q0",
    "prompt": "Why?",
    "response": "because of rain",
    "reward": 2.5,
    "candidate": "1.0",
    "finish_reason": "stop",
    "first_mean_reward": -2.0,
    "first_best_reward": -1.0,
    "reference": "rain",
    "method": "paper",
    "status": "finished",
    "stop_reason": "max_iterations",
    "error": None,
    "candidates": 4,
    "malformed": 1,
    "metadata": {"level": 1, "tags": ["é"]},
}
FAILED = dict.fromkeys(COLUMNS) | {
    "id": "q1",
    "prompt": "What?",
    "method": "paper",
    "status": "failed",
    "stop_reason": "error",
    "error": "the server is gone",
    "candidates": 0,
    "malformed": 0,
    "metadata": {},
}


def test_json_lines_hold_a_row_for_each_query_failed_ones_too(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    assert export_results([finished(), failed()], path) == Exported(2)
    assert [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]] == [ANSWERED, FAILED]


def test_csv_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    texts = 'a "quoted", text\r\nwith lines\rand \u2028 signs'
    export_results([replace(finished(), first=first_step([candidate(0, 0, texts, 9.0)])), failed()], path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS)
    assert rows[0]["response"] == texts
    assert json.loads(rows[0]["metadata"]) == ANSWERED["metadata"]
    assert (rows[1]["response"], rows[1]["reward"], rows[1]["error"]) == ("", "", "the server is gone")


def test_parquet_keeps_types(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    assert export_results((finished(f"q{i}") for i in range(1500)), path) == Exported(1500)
    rows = pq.read_table(path).to_pylist()
    metadata = json.dumps(ANSWERED["metadata"], ensure_ascii=False)
    assert rows[1499] == ANSWERED | {"id": "q1499", "metadata": metadata}


def test_no_query_at_all_is_a_table_without_rows(tmp_path: Path) -> None:
    assert export_results([], tmp_path / "out.parquet") == Exported(0)
    assert pq.read_table(tmp_path / "out.parquet").column_names == list(COLUMNS)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_half_of_a_surrogate_pair_is_written_as_its_escape(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    export_results([replace(finished(), first=first_step([candidate(0, 0, "cut \ud83d", 9.0)]))], path)
    assert b"cut \\ud83d" in path.read_bytes()


def test_an_unknown_suffix_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.jsonl, \.csv, \.parquet"):
        export_results([], tmp_path / "out.xlsx")


FORMULAS = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_csv_cells_that_begin_as_a_formula_get_an_apostrophe(tmp_path: Path, text: str) -> None:
    path = tmp_path / "out.csv"
    one = replace(
        finished(),
        first=first_step((candidate(0, 0, text, 9.0), candidate(0, 1, "a", -3.0))),
        steps=(),
    )
    export_results([one], path)
    with path.open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["response"] == f"'{text}"


def test_numbers_and_other_texts_of_csv_are_not_escaped(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    export_results([replace(finished(), first=first_step((candidate(0, 0, "a = b", -1.0),)), steps=())], path)
    with path.open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["response"], row["reward"]) == ("a = b", "-1.0")


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_cells_are_as_they_were_where_escaping_is_off_or_needless(tmp_path: Path, name: str) -> None:
    one = replace(finished(), first=first_step((candidate(0, 0, "=1+1", 9.0),)), steps=())
    export_results([one], tmp_path / name, escape_formulas=name != "out.csv")
    content = (tmp_path / name).read_text("utf-8")
    assert "=1+1" in content
    assert "'=1+1" not in content
