"""Prompt templates and nested columns."""

import pytest

from tpo.data.template import MissingColumn, Template, lookup, without
from tpo.errors import ConfigError

ROW = {"instruction": "Sum up.", "input": "long text", "a.b": "dotted", "body": {"x": {"y": 3}, "z": [4, 5]}}


def filled(text: str) -> str:
    return Template.parse(text).fill(lambda name: str(lookup(ROW, name)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{instruction}\n\n{input}", "Sum up.\n\nlong text"),
        (r"{instruction}\n\n{input}", "Sum up.\n\nlong text"),
        (r"{instruction}\\n", r"Sum up.\n"),
        ("{{{instruction}}}", "{Sum up.}"),
        ("{body.x.y} {body.z.1} {a.b}", "3 5 dotted"),
    ],
)
def test_columns_are_filled_in(text: str, expected: str) -> None:
    assert filled(text) == expected


def test_blank_ends_of_an_empty_column_are_cut_off() -> None:
    assert Template.parse(r"{a}\n\n{b}").fill({"a": "x", "b": ""}.__getitem__) == "x"


def test_a_slot_inside_a_value_is_left_as_it_is() -> None:
    assert Template.parse("{a} {b}").fill({"a": "{b}", "b": "y"}.__getitem__) == "{b} y"


@pytest.mark.parametrize("text", ["", "no slot", "{", "}", "{}", "{a!r}", "{a:>9}", "{{a}}"])
def test_a_template_that_cannot_be_filled_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--template"):
        Template.parse(text)


def test_a_missing_nested_column_names_what_is_there_instead() -> None:
    with pytest.raises(MissingColumn, match="no 'w' here; there are 'x', 'z'"):
        lookup(ROW, "body.w")


def test_a_nested_column_is_taken_out_alone() -> None:
    assert without(ROW, "body.x") == {**ROW, "body": {"z": [4, 5]}}
    assert without({"body": {"x": 1}, "y": 2}, "body.x") == {"y": 2}
    assert "a.b" not in without(ROW, "a.b")
    assert ROW["body"] == {"x": {"y": 3}, "z": [4, 5]}
