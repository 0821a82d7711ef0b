"""What a user names becomes queries, or one clear sentence."""

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tpo.data import ReadOptions, count_queries, data_digest, load_queries
from tpo.data.row import MAX_ROW
from tpo.errors import ConfigError, DataError


def write(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def refusal(spec: str, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        list(load_queries(spec, **options))  # type: ignore[arg-type]
    return str(caught.value)


def test_the_references_form_is_numbered_by_position(tmp_path: Path) -> None:
    spec = write(tmp_path, "a.json", '["one", "two"]')
    queries = list(load_queries(spec))
    assert [(q.id, q.text) for q in queries] == [("q0", "one"), ("q1", "two")]


def test_queries_can_be_streamed_again(tmp_path: Path) -> None:
    queries = load_queries(write(tmp_path, "a.jsonl", '"one"\n"two"\n'))
    assert list(queries) == list(queries)


def test_limit_stops_before_what_is_wrong_behind_it(tmp_path: Path) -> None:
    spec = write(tmp_path, "a.jsonl", '"one"\n"two"\n{')
    assert [q.text for q in load_queries(spec, limit=2)] == ["one", "two"]
    assert count_queries(spec, limit=2) == 2


def test_a_limit_below_one_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--limit is 0"):
        load_queries(write(tmp_path, "a.jsonl", '"one"'), limit=0)


def test_counting_checks_every_row(tmp_path: Path) -> None:
    good = write(tmp_path, "good.jsonl", '"one"\n"two"\n')
    bad = write(tmp_path, "bad.jsonl", '"one"\n' * 36 + "{oops}\n")
    assert count_queries(good) == 2
    with pytest.raises(DataError, match=r"bad\.jsonl:37: not valid JSON"):
        count_queries(bad)


def test_duplicate_ids_name_both_lines(tmp_path: Path) -> None:
    spec = write(tmp_path, "a.jsonl", '{"id": 1, "prompt": "a"}\n"b"\n{"id": "1", "prompt": "c"}\n')
    message = refusal(spec)
    assert "a.jsonl:3" in message
    assert "a.jsonl:1" in message


def test_an_id_of_the_users_may_not_meet_one_by_position(tmp_path: Path) -> None:
    spec = write(tmp_path, "a.jsonl", '"a"\n{"id": "q0", "prompt": "b"}\n')
    assert "'q0'" in refusal(spec)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv", "a.tsv"])
@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str, content: str) -> None:
    assert "holds no query" in refusal(write(tmp_path, name, content))


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    assert "holds no query" in refusal(write(tmp_path, "a.json", " [ ] \n"))


def test_a_missing_file_suggests_a_near_one(tmp_path: Path) -> None:
    write(tmp_path, "prompts.jsonl", '"a"')
    with pytest.raises(DataError, match=r"no such file; did you mean .*prompts\.jsonl"):
        load_queries(str(tmp_path / "promts.jsonl"))


def test_a_name_without_a_file_suggests_the_hub() -> None:
    with pytest.raises(DataError, match="write hf:someone/some_set"):
        load_queries("someone/some_set")


def test_a_url_is_to_be_downloaded_first() -> None:
    with pytest.raises(DataError, match="download it first"):
        load_queries("https://example.org/a.jsonl")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        load_queries(str(tmp_path))


@pytest.mark.parametrize("name", ["a.log", "a", "a.gz", "a.parquet.gz"])
def test_an_unknown_suffix_lists_the_known(tmp_path: Path, name: str) -> None:
    assert ".jsonl" in refusal(write(tmp_path, name, "a"))


def test_a_name_with_a_nul_is_refused() -> None:
    with pytest.raises(DataError, match=r"cannot be opened|no such file"):
        load_queries("a\0b.json")


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pa.compress(data, "zstd", asbytes=True),
}


@pytest.mark.parametrize("suffix", COMPRESSED)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt"])
def test_compressed_files_are_read(tmp_path: Path, name: str, suffix: str) -> None:
    content = {"a.csv": "\ufeffprompt\nhello\n", "a.txt": "hello\n"}.get(name, '{"prompt": "hello"}\n')
    packed = COMPRESSED[suffix](content.encode())
    assert [q.text for q in load_queries(write(tmp_path, f"{name}.{suffix}", packed))] == ["hello"]


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_a_compressed_file_without_its_suffix_is_recognised(tmp_path: Path, suffix: str) -> None:
    packed = COMPRESSED[suffix](b'"hello"\n')
    assert [q.text for q in load_queries(write(tmp_path, "a.jsonl", packed))] == ["hello"]


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_compression_does_not_change_the_digest(tmp_path: Path, suffix: str) -> None:
    plain = write(tmp_path, "a.jsonl", '"hello"\n')
    packed = write(tmp_path, f"a.jsonl.{suffix}", COMPRESSED[suffix](b'"hello"\n'))
    assert data_digest(plain) == data_digest(packed)


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_a_truncated_compressed_file_is_refused(tmp_path: Path, suffix: str) -> None:
    packed = COMPRESSED[suffix](b'"hello"\n' * 99)
    assert "cannot be read" in refusal(write(tmp_path, f"a.jsonl.{suffix}", packed[:-12]))


@pytest.mark.parametrize(
    "content", [b'"not gzip"', gzip.compress(b'"hello"\n' * 9999)[:60], gzip.compress(b"x")[:9]]
)
def test_broken_gzip_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "cannot be read" in refusal(write(tmp_path, "a.jsonl.gz", content))


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_wrong_encoding_names_line_and_byte(tmp_path: Path, name: str) -> None:
    content = 'prompt\n"café"\n'.encode("latin-1") if name == "a.csv" else '\n"café"\n'.encode("latin-1")
    assert f"{name}:2: byte 5 (0xe9) is not UTF-8" in refusal(write(tmp_path, name, content))


def test_utf16_is_recognized(tmp_path: Path) -> None:
    assert "UTF-16" in refusal(write(tmp_path, "a.json", '["a"]'.encode("utf-16")))


def test_a_digest_is_of_the_bytes(tmp_path: Path) -> None:
    spec = write(tmp_path, "a.json", "abc")
    expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert data_digest(spec) == expected


def test_a_query_of_a_megabyte_is_read(tmp_path: Path) -> None:
    long = "é" * 500_000
    for name, content in {
        "a.json": json.dumps([long, "b"]),
        "a.jsonl": json.dumps(long, ensure_ascii=False) + "\n",
        "a.csv": f"prompt\n{long}\n",
    }.items():
        assert next(iter(load_queries(write(tmp_path, name, content)))).text == long


def test_text_files_hold_a_query_per_line(tmp_path: Path) -> None:
    spec = write(tmp_path, "a.txt", '  Why?\r\n\n"How?"\n')
    assert [q.text for q in load_queries(spec)] == ["  Why?", '"How?"']


def test_several_files_are_read_in_turn_and_numbered_throughout(tmp_path: Path) -> None:
    first, second = write(tmp_path, "a.jsonl", '"a"\n"b"\n'), write(tmp_path, "b.csv", "prompt\nc\n")
    queries = list(load_queries([first, second]))
    assert [(q.id, q.text, q.position) for q in queries] == [("q0", "a", 0), ("q1", "b", 1), ("q2", "c", 2)]
    assert count_queries([first, second]) == 3
    assert data_digest([first, second]) != data_digest([second, first])


def test_an_error_in_one_of_several_files_names_that_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"b\.jsonl:1: not valid JSON"):
        count_queries([write(tmp_path, "a.jsonl", '"a"'), write(tmp_path, "b.jsonl", "oops")])


def test_a_pattern_reads_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("part-2.jsonl", "part-1.jsonl", "part-3.jsonl.gz"):
        content = json.dumps(name).encode()
        write(tmp_path, name, gzip.compress(content) if name.endswith("gz") else content)
    (tmp_path / "part-folder").mkdir()
    texts = [q.text for q in load_queries(str(tmp_path / "part-*"))]
    assert texts == ["part-1.jsonl", "part-2.jsonl", "part-3.jsonl.gz"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    write(tmp_path, "a1.jsonl", '"other"')
    assert [q.text for q in load_queries(write(tmp_path, "a[1].jsonl", '"this"'))] == ["this"]


def test_a_pattern_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file matches it as a pattern"):
        load_queries(str(tmp_path / "*.jsonl"))


@pytest.mark.parametrize("spec", ["", " ", []])
def test_an_empty_name_is_refused_as_such(spec: str | list[str]) -> None:
    with pytest.raises(DataError, match=r"name of the data is empty|no data is named"):
        load_queries(spec)


def test_skip_invalid_leaves_out_rows_and_keeps_the_positions_of_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = b'"a"\n{"prompt": null}\n{oops\n"caf\xe9"\n{"id": "q0", "prompt": "b"}\n"c"\n'
    spec = write(tmp_path, "a.jsonl", content)
    options = ReadOptions(skip_invalid=True)
    assert [(q.id, q.text) for q in load_queries(spec, options)] == [("q0", "a"), ("q5", "c")]
    assert count_queries(spec, options) == 2
    assert "4 of 6 rows were skipped as invalid" in caplog.text
    assert "a.jsonl:2: 'prompt' is empty (null)" in caplog.text


def test_skip_invalid_leaves_out_records_of_csv_whole(tmp_path: Path) -> None:
    content = b'id,prompt\n1,a\n2\n3,"x"y\n4,"two\ncaf\xe9"\n5,b\n'
    queries = load_queries(write(tmp_path, "a.csv", content), ReadOptions(skip_invalid=True))
    assert [(q.id, q.text) for q in queries] == [("1", "a"), ("5", "b")]


def test_skip_invalid_does_not_take_a_record_for_the_header(tmp_path: Path) -> None:
    spec = write(tmp_path, "a.csv", b'prompt,"x"y\nprompt,b\n1,2\n')
    with pytest.raises(DataError, match=r"a\.csv:1: not valid CSV"):
        list(load_queries(spec, ReadOptions(skip_invalid=True)))


def test_where_every_row_is_invalid_the_first_reason_is_told(tmp_path: Path) -> None:
    spec = write(tmp_path, "a.jsonl", '{"q": "a"}\n{"q": "b"}\n')
    with pytest.raises(DataError, match=r"holds no query: .*a\.jsonl:1: neither 'prompt'"):
        count_queries(spec, ReadOptions(skip_invalid=True))


def test_options_that_change_queries_change_the_digest(tmp_path: Path) -> None:
    spec = write(tmp_path, "a.jsonl", '"a"\n')
    plain = data_digest(spec)
    assert data_digest(spec, ReadOptions(limit=3, column="x")) == plain
    changing = [
        ReadOptions(system="Be brief."),
        ReadOptions(template="{a}"),
        ReadOptions(skip_invalid=True),
        ReadOptions(drop_last_assistant=True),
    ]
    assert len({plain, *(data_digest(spec, options) for options in changing)}) == 5


def test_an_input_that_a_named_column_leaves_out_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = write(tmp_path, "a.jsonl", '{"instruction": "Sum up.", "input": "long text"}\n')
    assert count_queries(spec, column="instruction") == 1
    assert "1 rows have an input beside the instruction" in caplog.text


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt"])
def test_a_line_of_four_gigabytes_is_refused_in_bounded_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes({"a.json": b'["' + b"x" * 2 * MAX_ROW, "a.csv": b"prompt\n"}.get(name, b'"'))
    os.truncate(path, 4 << 30)  # sparse: it takes no space
    tracemalloc.start()
    with pytest.raises(DataError, match=rf"{name}:\d: .* is longer than 33,554,432"):
        count_queries(str(path))
    assert tracemalloc.get_traced_memory()[1] < 10 * MAX_ROW
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_a_table_of_100_000_columns_is_refused(tmp_path: Path, name: str) -> None:
    columns = {f"c{i}": "x" for i in range(100_000)}
    path = tmp_path / name
    if name == "a.parquet":
        pq.write_table(pa.Table.from_pylist([dict(list(columns.items())[:10_001])]), path)
    else:
        text = (
            json.dumps(columns)
            if name == "a.jsonl"
            else ",".join(columns) + "\n" + ",".join(columns.values())
        )
        path.write_text(text)
    assert "columns; at most 10,000 are read" in refusal(str(path))


def test_standard_input_is_read_more_than_once() -> None:
    script = (
        "from tpo.data import *; o = ReadOptions(column='question')\n"
        "print(count_queries('-', o), [q.text for q in load_queries('-', o)], data_digest('-'))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], input=b"id,question\n7,Why?\n", capture_output=True
    )
    assert found.stdout.decode().startswith("1 ['Why?'] sha256:")


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b'["a", "b"]', ["a", "b"]),
        (b'\n{"prompt": "a"}\n', ["a"]),
        (b'"a"\n', ["a"]),
        (b'"Why?" she asked.\nHow?\n', ['"Why?" she asked.', "How?"]),
        (gzip.compress(b'"a"\n'), ["a"]),
        (b"id,prompt\n1,a\n", ["a"]),
        (b"\xef\xbb\xbfid;prompt\r\n1;a\r\n", ["a"]),
        (b"instruction\tinput\na\tb\n", ["a\n\nb"]),
        (b'"prompt","id"\n"a","1"\n', ["a"]),
        (b'"prompt"\n"a"\n', ["a"]),
        (b"a prompt, please\n", ["a prompt, please"]),
        (b"a\rb, c\n", ["a\rb, c"]),
    ],
)
def test_the_format_of_standard_input_is_recognised(content: bytes, texts: list[str]) -> None:
    script = "from tpo.data import *; import json; print(json.dumps([q.text for q in load_queries('-')]))"
    found = subprocess.run([sys.executable, "-c", script], input=content, capture_output=True)
    assert json.loads(found.stdout) == texts


@pytest.mark.parametrize(
    ("content", "column"), [(b'"a"\n"b"\n', "prompt"), (b'"question"\n"a"\n"b"\n', "question")]
)
def test_quoted_lines_of_standard_input_are_a_table_where_the_first_is_the_column(
    content: bytes, column: str
) -> None:
    script = (
        "from tpo.data import *; import json;"
        f"print(json.dumps([q.text for q in load_queries('-', ReadOptions(column={column!r}))]))"
    )
    found = subprocess.run([sys.executable, "-c", script], input=content, capture_output=True)
    assert json.loads(found.stdout) == ["a", "b"]


def test_an_error_in_standard_input_names_it_and_its_line() -> None:
    script = "from tpo.data import *; count_queries('-')"
    found = subprocess.run([sys.executable, "-c", script], input=b'"a"\n["', capture_output=True)
    assert b"standard input:2: not valid JSON" in found.stderr


def test_empty_standard_input_is_named() -> None:
    script = "from tpo.data import *; count_queries('-')"
    found = subprocess.run([sys.executable, "-c", script], input=b"", capture_output=True)
    assert b"standard input: holds no query" in found.stderr


def test_a_terminal_is_not_waited_for() -> None:
    master, terminal = os.openpty()
    script = "from tpo.data import *; count_queries('-')"
    found = subprocess.run([sys.executable, "-c", script], stdin=terminal, capture_output=True)
    os.close(master)
    os.close(terminal)
    assert b"reads the data from standard input: tpo run - < prompts.jsonl" in found.stderr


def test_skip_invalid_leaves_out_a_line_that_is_too_long_as_a_whole(tmp_path: Path) -> None:
    spec = write(tmp_path, "a.txt", b"first\n" + b"x" * (MAX_ROW + 10) + b"\nlast\n")
    queries = list(load_queries(spec, ReadOptions(skip_invalid=True)))
    assert [(q.text, q.position) for q in queries] == [("first", 0), ("last", 2)]
