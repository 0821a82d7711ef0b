"""How a reply becomes a response."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpo.methods.tags import CLOSING, OPENING, tagged_response
from tpo.types import Completion, FinishReason


@pytest.mark.parametrize(
    ("text", "finish", "response"),
    [
        (f"{OPENING}\nNew.\n{CLOSING}", "stop", "New."),
        (f"Sure:\n{OPENING}New.{CLOSING} Done.", "stop", "New."),
        (f"{OPENING}New.", "stop", "New."),
        (f"{OPENING}New, but c", "length", None),
        (f"{OPENING}New.{CLOSING} and then it rambl", "length", "New."),
        (f"{OPENING}draft{CLOSING}\n{OPENING}final{CLOSING}", "stop", "final"),
        (f"{OPENING} \n {CLOSING}", "stop", None),
        ("New.", "stop", None),
        ("", "stop", None),
    ],
)
def test_an_update_is_what_stands_between_its_tags(
    text: str, finish: FinishReason, response: str | None
) -> None:
    assert tagged_response(Completion(0, text, finish)) == response


@given(st.text())
def test_any_response_comes_back_from_between_the_tags(text: str) -> None:
    if OPENING in text or CLOSING in text:
        return
    completion = Completion(0, f"{OPENING}\n{text}\n{CLOSING}")
    assert tagged_response(completion) == (text.strip() or None)
