"""Inputs of runs: where queries come from and how they are read."""

from pathlib import Path

import pytest

from tpo.data import ReadOptions, ids_by_digest
from tpo.runs.inputs import SourceInput, as_input, rows_input
from tpo.types import Query, user


def test_a_source_is_read_by_its_options(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a;b\n1;2\n3;4\n")
    plain = SourceInput(str(file), ReadOptions(column="a"))
    built = SourceInput(str(file), ReadOptions(limit=1, template="{a} and {b}", system="s"))
    assert [query.text for query in plain.queries] == ["1", "3"]
    assert [(query.text, len(query.messages)) for query in built.queries] == [("1 and 2", 2)]
    assert (plain.total, built.total) == (2, 1)
    assert plain.digest != built.digest


def test_rows_in_memory_have_positions() -> None:
    given = rows_input(["a", Query("x", (user("b"),)), {"prompt": "c"}])
    assert [(query.id, query.position) for query in given.queries] == [("q0", 0), ("x", 1), ("q2", 2)]


@pytest.mark.parametrize(
    "rows",
    [
        [*"abcd", "new", *"efghij"],
        [*"jihgf", "new", *"abcde"],
        [*"abcd", "new", *"fghij"],
    ],
    ids=["inserted", "reordered", "replaced"],
)
@pytest.mark.parametrize("limit", [1, 5, 6, None])
def test_rows_in_memory_have_the_ids_of_the_same_rows_in_a_file(
    rows: list[str], limit: int | None, tmp_path: Path
) -> None:
    file = tmp_path / "a.txt"
    file.write_text("".join(f"{row}\n" for row in rows))
    known = ids_by_digest(rows_input("abcdefghij").queries)
    read = SourceInput(str(file), ReadOptions(limit=limit)).identified(known)
    assert list(rows_input(rows, limit=limit).identified(known)) == list(read)


def test_ids_need_no_valid_row_behind_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('"new"\n"a"\n{"prompt": "cut')
    known = ids_by_digest(rows_input(["a", "b"]).queries)
    limited = SourceInput(str(file), ReadOptions(limit=2)).identified(known)
    assert [(query.text, query.id) for query in limited] == [("new", "q2"), ("a", "q0")]


def test_paths_are_files_and_texts_are_prompts(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(f"{name}\n")
    files = as_input([tmp_path / "b.txt", tmp_path / "a.txt"])
    assert [query.text for query in files.queries] == ["b", "a"]
    assert files.source == (str(tmp_path / "b.txt"), str(tmp_path / "a.txt"))
    assert [query.text for query in as_input(["b", "a"]).queries] == ["b", "a"]
