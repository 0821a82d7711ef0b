"""JSON lists and JSON lines, in any layout, cut anywhere."""

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tpo.data.json_source import JsonSource
from tpo.data.text import TextFile
from tpo.errors import DataError

Texts = st.text(st.characters(exclude_categories=["Cs"]))
Values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | Texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(Texts, inner, max_size=3),
    max_leaves=8,
)


def read(content: bytes, chunk: int = 1 << 18) -> list[tuple[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        path.write_bytes(content)
        return [
            (row.place.removeprefix(str(path)), row.value) for row in JsonSource(TextFile(path), chunk).rows()
        ]


def refusal(content: str | bytes) -> str:
    with pytest.raises(DataError) as caught:
        read(content if isinstance(content, bytes) else content.encode())
    return str(caught.value)


@settings(deadline=None)
@given(
    values=st.lists(Values, max_size=5),
    indent=st.sampled_from([None, 0, 4]),
    ascii_only=st.booleans(),
    mark=st.booleans(),
    crlf=st.booleans(),
    chunk=st.integers(1, 40),
)
@example(values=[0.5, 1e-9, 1e300], indent=None, ascii_only=True, mark=False, crlf=False, chunk=1)
def test_a_list_reads_the_same_however_it_is_laid_out_and_cut(
    *, values: list[Any], indent: int | None, ascii_only: bool, mark: bool, crlf: bool, chunk: int
) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=ascii_only)
    text = text.replace("\n", "\r\n") if crlf else text
    content = text.encode("utf-8-sig" if mark else "utf-8")
    assert [value for _, value in read(content, chunk)] == values


@settings(deadline=None)
@given(
    values=st.lists(st.dictionaries(Texts, Values, max_size=3) | Texts, min_size=1, max_size=5),
    crlf=st.booleans(),
    mark=st.booleans(),
)
def test_lines_hold_any_text_line_separators_of_other_kinds_too(
    *, values: list[Any], crlf: bool, mark: bool
) -> None:
    end = "\r\n" if crlf else "\n"
    text = "".join(json.dumps(value, ensure_ascii=False) + end for value in values)
    assert [value for _, value in read(text.encode("utf-8-sig" if mark else "utf-8"))] == values


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_a_line_feed_ends_a_line(separator: str) -> None:
    text = f"a{separator}b"
    raw = json.dumps(text, ensure_ascii=separator < " ")
    assert read(f"{raw}\n".encode()) == [(":1", text)]


@settings(deadline=None)
@given(content=st.binary(max_size=60) | Texts.map(str.encode), chunk=st.integers(1, 9))
def test_any_bytes_are_read_or_refused_with_a_data_error(content: bytes, chunk: int) -> None:
    with contextlib.suppress(DataError):
        read(content, chunk)


@settings(deadline=None)
@given(
    values=st.lists(Texts, min_size=1, max_size=4),
    data=st.data(),
)
def test_a_cut_list_is_refused(values: list[str], data: st.DataObject) -> None:
    whole = json.dumps(values).encode()
    cut = data.draw(st.integers(1, len(whole) - 1))
    assert "not valid JSON" in refusal(whole[:cut])


def test_places_are_lines_and_elements() -> None:
    assert read(b'[\n  "a",\n\n  {"b":\n 1},"c"\n]') == [
        (":2 (element 1)", "a"),
        (":4 (element 2)", {"b": 1}),
        (":5 (element 3)", "c"),
    ]


def test_blank_lines_count_and_give_nothing() -> None:
    assert read(b'\n"a"\n \t\r\n"b"') == [(":2", "a"), (":4", "b")]


def test_a_list_in_lines_clothing_and_the_reverse_are_told_apart_by_content() -> None:
    assert [value for _, value in read(b'{"prompt": "a"}\n{"prompt": "b"}')] == [
        {"prompt": "a"},
        {"prompt": "b"},
    ]
    assert [value for _, value in read(b'[{"prompt": "a"}, {"prompt": "b"}]')] == [
        {"prompt": "a"},
        {"prompt": "b"},
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('["a" "b"]', "a.json:1: not valid JSON: after an element"),
        ('["a",\n\n oops]', "a.json:3: not valid JSON"),
        ('["a"] x', "a.json:1: something follows the end"),
        ('["a",]', "a.json:1: not valid JSON"),
        ('["a"', "the file ends"),
        ('"a"\n"b" "c"\n', "a.json:2: more than one JSON value"),
        ('"a"\n{"prompt": }', "a.json:2: not valid JSON: Expecting value (column 12)"),
        ('"\\ud800"', "a.json:1: holds half of a surrogate pair"),
        ('["a",\n"\\ud800"]', "a.json:2: holds half of a surrogate pair"),
        ("1" * 5000, "a.json:1: not valid JSON"),
        ('{"a":' * 100_000, "a.json:1: not valid JSON"),
        (b'["a",\n"b\xe9"]', "a.json:2: byte 3 (0xe9) is not UTF-8"),
        (b'["a",\n"b\xe2\x82', "a.json:2: byte 3 (0xe2) is not UTF-8"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(content: str | bytes, message: str) -> None:
    assert message in refusal(content)


def test_a_whole_surrogate_pair_is_a_text() -> None:
    assert read(b'"\\ud83d\\ude00"') == [(":1", "\U0001f600")]


def test_numbers_that_json_does_not_know_are_null() -> None:
    assert read(b'{"a": NaN, "b": -Infinity}') == [(":1", {"a": None, "b": None})]


def test_a_wrong_byte_is_placed_right_across_pieces() -> None:
    content = b'["' + "é".encode() * 10 + b'",\n"ab\xff"]'
    for chunk in range(1, 12):
        with pytest.raises(DataError, match=r"a\.json:2: byte 4 \(0xff\)"):
            read(content, chunk)
