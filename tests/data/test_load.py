"""What a user names becomes queries, or one clear sentence."""

import gzip
import json
from pathlib import Path

import pytest

from tpo.data import count_queries, data_digest, load_queries
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


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gz", "a.parquet.gz"])
def test_an_unknown_suffix_lists_the_known(tmp_path: Path, name: str) -> None:
    assert ".jsonl" in refusal(write(tmp_path, name, "a"))


def test_a_name_with_a_nul_is_refused() -> None:
    with pytest.raises(DataError, match=r"cannot be opened|no such file"):
        load_queries("a\0b.json")


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.json.gz", "a.csv.gz"])
def test_gzip_is_opened(tmp_path: Path, name: str) -> None:
    content = "prompt\nhello\n" if "csv" in name else '{"prompt": "hello"}\n'
    assert [q.text for q in load_queries(write(tmp_path, name, gzip.compress(content.encode())))] == ["hello"]


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
