"""Sources by name: several, patterns, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tpo.data.sources import named, open_source, single_or_several
from tpo.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b-2", "b-1", "a"):
        (tmp_path / f"{name}.txt").write_text(f"{name}\n")
    return tmp_path


def values(*names: str) -> list[object]:
    return [row.value for row in open_source(list(names)).rows()]


def test_sources_are_read_in_the_order_given_and_patterns_by_name(folder: Path) -> None:
    assert values(str(folder / "b-*.txt"), str(folder / "a.txt")) == ["b-1", "b-2", "a"]


def test_the_digest_follows_the_order_and_one_file_alone_has_its_own(folder: Path) -> None:
    a, b = str(folder / "a.txt"), str(folder / "b-1.txt")
    assert open_source([a, b]).digest() != open_source([b, a]).digest()
    assert open_source([a]).digest() == open_source(a).digest()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.tx", "no such file; did you mean .*a.txt"),
        ("c-*.txt", "no file matches it as a pattern"),
        ("", "is a folder; name a file in it or a pattern"),
        ("org", "no such file"),
    ],
)
def test_a_name_without_a_file_is_told_with_what_to_do(name: str, words: str, folder: Path) -> None:
    with pytest.raises(DataError, match=words):
        open_source(str(folder / name))


def test_no_name_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="no data is named"):
        open_source([])
    with pytest.raises(DataError, match="no such file; for a Hugging Face data set write hf:org/set"):
        open_source("org/set")


def test_one_name_in_a_list_is_that_name() -> None:
    assert single_or_several(["a"]) == "a"
    assert named(single_or_several(["a", "b"])) == "a, b"
