"""Queries from texts and messages: ids from their content, and errors in Python's words."""

from __future__ import annotations

from typing import Any

import pytest

from tpo.errors import DataError
from tpo.methods.query_value import as_query
from tpo.types import Query, user


def test_an_id_comes_from_the_content_alone() -> None:
    first, again, other = as_query("Hi."), as_query([{"role": "user", "content": "Hi."}]), as_query("Hello.")
    assert first.id == again.id != other.id
    assert len({as_query(f"question {number}").id for number in range(100)}) == 100


def test_an_id_that_is_given_counts() -> None:
    assert as_query("Hi.", "mine").id == "mine"
    assert as_query(Query("q7", (user("Hi."),))).id == "q7"
    assert as_query(Query("q7", (user("Hi."),), reference="x"), "mine") == Query("mine", (user("Hi."),), "x")


def test_further_keys_of_a_message_are_kept() -> None:
    turns = [{"role": "tool", "content": "4", "tool_call_id": "c"}, {"role": "user", "content": "So?"}]
    assert as_query(turns).messages == tuple(turns)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "a query must be a str, a list of messages or a tpo.Query, not None"),
        (b"Hi.", "a query must be a str, a list of messages or a tpo.Query, not bytes"),
        (3, "not int"),
        (user("Hi."), "not dict: put a single message into a list"),
        (["Hi."], r"messages\[0\] must be a dict with role and content, not str"),
        ([{"content": "Hi."}], r"messages\[0\] has no 'role'; its keys are \['content'\]"),
        ([user("Hi."), {"role": "user"}], r"messages\[1\] has no 'content'"),
        ([{"role": "user", "content": None}], r"\['content'\] must be a str or a list of parts, not None"),
        ([{"role": 1, "content": "Hi."}], r"\['role'\] must be a str, not int"),
        ([], "must end with a turn of the user"),
        ([{"role": "assistant", "content": "Hi."}], "must end with a turn of the user"),
    ],
)
def test_what_is_no_query_is_refused_in_pythons_words(value: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        as_query(value)


@pytest.mark.parametrize("wrong", [3, "", b"q"])
def test_what_is_no_id_is_refused(wrong: Any) -> None:
    with pytest.raises(DataError, match="id must be a str"):
        as_query("Hi.", wrong)
