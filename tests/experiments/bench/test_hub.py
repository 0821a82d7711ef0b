import json
import re
from pathlib import Path

import pytest

from tpo.data.row import Row
from tpo.errors import DataError
from tpo.experiments.bench.hub import Hub, column


def repository(folder: Path) -> Path:
    folder.mkdir()
    rows = [{"prompt": "one"}, {"prompt": "two"}]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_split_is_read_by_the_datasets_library(tmp_path: Path) -> None:
    hub = Hub(str(repository(tmp_path / "set")), split="test")
    rows = list(hub.rows(tmp_path / "cache"))
    assert [row.value for row in rows] == [{"prompt": "one"}, {"prompt": "two"}]
    assert rows[1].place == f"{hub.spec}: row 2"


def test_one_file_of_a_repository_is_read_as_it_is(tmp_path: Path) -> None:
    hub = Hub(str(repository(tmp_path / "set")), file="test.jsonl")
    rows = list(hub.rows())
    assert rows[0].place == f"{tmp_path / 'set/test.jsonl'}:1"


def test_a_split_that_is_not_there_says_what_else_to_do(tmp_path: Path) -> None:
    hub = Hub(str(repository(tmp_path / "set")), split="validation")
    with pytest.raises(DataError, match=r"cannot be loaded.*--data FILE"):
        list(hub.rows(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("text", "a row must be an object, not str"),
        ({"other": 1}, "no column 'prompt'; columns: 'other'"),
        ({}, "columns: none"),
        ({"prompt": 3}, "'prompt' must be a text, not int"),
        ({"prompt": None}, "not NoneType"),
        ({"prompt": " \n"}, "'prompt' is empty"),
    ],
)
def test_a_column_that_holds_no_text_names_its_place(value: object, why: str) -> None:
    with pytest.raises(DataError, match=f"rows.jsonl:3: .*{re.escape(why)}"):
        column(Row("rows.jsonl:3", value), "prompt")


def test_an_empty_text_is_taken_where_it_is_allowed() -> None:
    assert column(Row("x", {"note": ""}), "note", blank=True) == ""
