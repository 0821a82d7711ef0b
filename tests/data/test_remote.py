"""Data behind URLs, with fsspec's file system in memory; an S3 server is in tests/scale."""

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tpo.data import count_queries, data_digest, load_queries
from tpo.data.arrow import write_parquet
from tpo.data.sources import open_source
from tpo.errors import DataError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def store() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/bucket", recursive=True)


def texts(url: str) -> list[str]:
    return [query.text for query in load_queries(url)]


def test_a_file_is_read_by_its_url_as_a_local_one_is(store: Any, tmp_path: Path) -> None:
    content = b'{"id": "a", "prompt": "one"}\n{"id": "b", "prompt": "two"}\n'
    store.pipe("/bucket/data.jsonl", content)
    (tmp_path / "data.jsonl").write_bytes(content)
    url = "memory://bucket/data.jsonl"
    assert list(load_queries(url)) == list(load_queries(str(tmp_path / "data.jsonl")))
    assert count_queries(url) == 2
    assert data_digest(url) == data_digest(str(tmp_path / "data.jsonl"))
    assert [row.place for row in open_source(url).rows()] == [
        f"memory:///bucket/data.jsonl:{n}" for n in (1, 2)
    ]


def test_compressed_and_parquet_files_are_read(store: Any, tmp_path: Path) -> None:
    store.pipe("/bucket/data.txt.gz", gzip.compress(b"one\ntwo\n"))
    assert texts("memory://bucket/data.txt.gz") == ["one", "two"]
    write_parquet(tmp_path / "data.parquet", {"prompt": "string"}, [[{"prompt": "three"}]])
    store.put_file(str(tmp_path / "data.parquet"), "/bucket/data.parquet")
    assert texts("memory://bucket/data.parquet") == ["three"]


def test_a_pattern_takes_the_matching_files_by_name(store: Any) -> None:
    for name in ("part-2", "part-1", "other"):
        store.pipe(f"/bucket/{name}.txt", name.encode())
    assert texts("memory://bucket/part-*.txt") == ["part-1", "part-2"]


def test_a_file_that_changed_is_copied_again(store: Any) -> None:
    store.pipe("/bucket/data.txt", b"one")
    assert texts("memory://bucket/data.txt") == ["one"]
    store.pipe("/bucket/data.txt", b"another")
    assert texts("memory://bucket/data.txt") == ["another"]


def test_a_file_url_is_a_local_path(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("one\n")
    assert texts(f"file://{tmp_path}/data.txt") == ["one"]


def test_copies_are_removed_when_the_process_ends() -> None:
    code = (
        "import fsspec; fsspec.filesystem('memory').pipe('/bucket/data.txt', b'one')\n"
        "from tpo.data.remote import remote_files\n"
        "print(remote_files('memory://bucket/data.txt')[0].path)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    copy = Path(said.stdout.strip())
    assert copy.name.endswith("data.txt")
    assert not copy.parent.exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("memory://bucket/absent.jsonl", "memory://bucket/absent.jsonl: no such file"),
        ("memory://bucket/*.csv", r"memory://bucket/\*.csv: no file matches it as a pattern"),
        ("memory://bucket", r"is a folder; name a file in it or a pattern such as memory://bucket/\*.jsonl"),
        ("ftp://user:secret@host/data.txt", "give credentials through the environment, not in the URL"),
        ("nonsense://bucket/data.txt", "nonsense://bucket/data.txt: cannot be read: .*nonsense"),
        ("https://host/data.jsonl", "no such file; download it first"),
        ("memory://bucket/data.docx", "memory:///bucket/data.docx: unknown kind of file"),
    ],
)
def test_what_cannot_be_read_is_named(store: Any, url: str, words: str) -> None:
    store.pipe("/bucket/data.docx", b"x")
    with pytest.raises(DataError, match=words) as raised:
        list(load_queries(url))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "library", "extra"),
    [("s3://bucket/data.jsonl", "s3fs", "s3"), ("gs://bucket/data.jsonl", "gcsfs", "gs")],
)
def test_a_missing_library_is_one_sentence(url: str, library: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from tpo.data import load_queries\n"
        "from tpo.errors import MissingExtra\n"
        f"try: load_queries({url!r})\n"
        "except MissingExtra as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == f"reading {url} needs {library}: pip install 'tpo[{extra}]'\n"
