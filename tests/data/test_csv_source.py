"""CSV and TSV: quoting, line ends, and every way to be malformed."""

import contextlib
import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpo.data.csv_source import CsvSource
from tpo.data.text import TextFile
from tpo.errors import DataError

Cells = st.text(st.characters(exclude_categories=["Cs"]))


def read(content: bytes, delimiter: str | None = ",") -> list[tuple[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_bytes(content)
        return [
            (row.place.removeprefix(str(path)), row.value)
            for row in CsvSource(TextFile(path), delimiter).rows()
        ]


@settings(deadline=None)
@given(
    records=st.lists(st.tuples(Cells, Cells), max_size=5),
    end=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
    delimiter=st.sampled_from([",", "\t"]),
)
def test_what_a_writer_wrote_is_read(
    *, records: list[tuple[str, str]], end: str, mark: bool, delimiter: str
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("prompt", "more"), *records])
    rows = read(out.getvalue().encode("utf-8-sig" if mark else "utf-8"), delimiter)
    assert [value for _, value in rows] == [{"prompt": a or None, "more": b or None} for a, b in records]


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_with_a_data_error(content: bytes) -> None:
    with contextlib.suppress(DataError):
        read(content)


def test_a_record_over_lines_is_placed_where_it_starts() -> None:
    assert read(b'prompt\n\n"a\nb"\nc\n') == [(":3", {"prompt": "a\nb"}), (":5", {"prompt": "c"})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"prompt,more\na,b,c\n", "a.csv:2: 3 fields where the header has 2"),
        (b"prompt,more\na,b\nc\n", "a.csv:3: 1 fields where the header has 2"),
        (b"prompt,prompt\na,b\n", "a.csv:1: the header names 'prompt' more than once"),
        (b'prompt\n"a', "a.csv:2: not valid CSV"),
        (b'prompt\n"a"b\n', "a.csv:2: not valid CSV"),
        (b"prompt\ra\rb", "a.csv:1: not valid CSV"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(content: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(content)
    assert message in str(caught.value)


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
def test_the_delimiter_is_recognised(delimiter: str) -> None:
    content = f'id{delimiter}prompt\n1{delimiter}"a, b; c"\n2{delimiter}"d | e"\n'.encode()
    assert [value for _, value in read(content, None)] == [
        {"id": "1", "prompt": "a, b; c"},
        {"id": "2", "prompt": "d | e"},
    ]


def test_a_long_field_does_not_change_the_delimiter_of_the_first_file() -> None:
    before = csv.field_size_limit(131_072)  # as in a fresh process
    try:
        rows = read(b'id;prompt\n1;"' + b"x" * 140_000 + b'"\n', None)
    finally:
        csv.field_size_limit(before)
    assert [value for _, value in rows] == [{"id": "1", "prompt": "x" * 140_000}]


@pytest.mark.parametrize(
    "content",
    [
        b'prompt\n"a; b"\n"c; d"\n',  # a single column
        b'id,"a; b"\n1,x\n2,y\n',  # another delimiter inside a quoted name
    ],
)
def test_a_comma_is_taken_where_nothing_else_splits_the_header(content: bytes) -> None:
    assert read(content, None) == read(content, ",")


def test_one_broken_record_does_not_change_the_delimiter() -> None:
    with pytest.raises(DataError, match=r"a\.csv:3: 3 fields where the header has 2; .*than ';'"):
        read(b"id;prompt\n1;a\n2;b;c\n3;d\n4;e\n", None)


def test_a_quotation_mark_left_open_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.write(b'prompt\n"open\n')
        for _ in range(40):
            file.write((b"x" * 1023 + b"\n") * 1024)
    with pytest.raises(DataError, match="is a quotation mark left open"):
        list(CsvSource(TextFile(path), ",").rows())
