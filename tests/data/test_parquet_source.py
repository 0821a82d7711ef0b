"""Parquet files as data."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tpo.data import ReadOptions, count_queries, load_queries
from tpo.errors import DataError


def strings(*values: bytes) -> pa.StringArray:
    """An array of strings without a check that they are UTF-8."""
    _, offsets, data = pa.array(values, pa.binary()).buffers()
    return pa.StringArray.from_buffers(len(values), offsets, data)


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


def test_a_text_that_is_not_utf8_is_refused_with_its_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = strings(*[b"good"] * 1500, b"caf\xe9", b"good", b"\xff", b"good")
    pq.write_table(pa.table({"prompt": texts}), path)
    with pytest.raises(DataError, match=r"a\.parquet: row 1501: column 'prompt': .*UTF-8"):
        count_queries(str(path))
    read = list(load_queries(str(path), ReadOptions(skip_invalid=True)))
    assert [query.position for query in read] == [*range(1500), 1501, 1503]


def test_a_date_that_python_cannot_hold_is_refused_with_its_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"prompt": ["a", "b"], "day": pa.array([1, 2**30], pa.date32())}), path)
    with pytest.raises(DataError, match=r"a\.parquet: row 2: column 'day'"):
        count_queries(str(path))


def test_a_column_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"prQQ": ["a"]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"prQQ", b"pr\xff\xff"))
    with pytest.raises(DataError, match="cannot be read as Parquet: a column's name is not UTF-8"):
        count_queries(str(path))
