"""Parquet files as data."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tpo.data import count_queries, load_queries
from tpo.errors import DataError


def test_rows_are_streamed_over_several_batches(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"prompt": [f"text {i}" for i in range(2500)], "id": range(2500)}), path)
    queries = list(load_queries(str(path)))
    assert count_queries(str(path)) == 2500
    assert (queries[2499].id, queries[2499].text) == ("2499", "text 2499")


def test_conversations_with_unequal_turns_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    messages = [[{"role": "user", "content": "a", "name": "Ann"}], [{"role": "user", "content": "b"}]]
    pq.write_table(pa.table({"messages": messages}), path)
    assert [list(q.messages) for q in load_queries(str(path))] == messages


def test_a_missing_column_lists_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"question": ["a"], "answer": ["b"]}), path)
    with pytest.raises(DataError, match=r"row 1: no 'prompt' here; there are 'question', 'answer'"):
        list(load_queries(str(path), column="prompt"))


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"prompt\nhello\n")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        list(load_queries(str(path)))
