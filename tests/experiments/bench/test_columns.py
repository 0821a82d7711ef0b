import re

import pytest

from tpo.data.row import Row
from tpo.errors import DataError
from tpo.experiments.bench.columns import column


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
