"""Inputs of runs: where queries come from and how they are read."""

from pathlib import Path

from tpo.data import ReadOptions
from tpo.runs.inputs import SourceInput, rows_input
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
