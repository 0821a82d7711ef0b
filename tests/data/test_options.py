"""Options of reading are checked when they are given, before any file is opened."""

from typing import Any

import pytest

from tpo.data import ReadOptions
from tpo.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"limit": 0}, "--limit is 0"),
        ({"column": "a", "template": "{a}"}, "--column and --template exclude each other"),
        ({"template": "{"}, "--template"),
        ({"system": " "}, "--system is empty"),
        ({"delimiter": ""}, "--delimiter is a single character"),
        ({"delimiter": ";;"}, "--delimiter is a single character"),
        ({"delimiter": '"'}, "--delimiter is a single character"),
    ],
)
def test_what_is_out_of_range_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ReadOptions(**values)


@pytest.mark.parametrize(("given", "delimiter"), [("tab", "\t"), (r"\t", "\t"), ("\t", "\t"), (";", ";")])
def test_a_delimiter_may_be_named(given: str, delimiter: str) -> None:
    assert ReadOptions(delimiter=given).delimiter == delimiter
