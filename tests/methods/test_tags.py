"""How a reply becomes a response."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpo.methods.tags import CLOSING, OPENING, tagged_response
from tpo.types import Completion, FinishReason

PUT = f"Put it between {OPENING} and {CLOSING}, so."


@pytest.mark.parametrize(
    ("text", "finish", "response"),
    [
        (f"{OPENING}\nNew.\n{CLOSING}", "stop", "New."),
        (f"Sure:\n{OPENING}New.{CLOSING} Done.", "stop", "New."),
        (f"{OPENING}New.", "stop", "New."),
        (f"{OPENING}New, but c", "length", None),
        (f"{OPENING}New.{CLOSING} and then it rambl", "length", "New."),
        (f"{OPENING}draft{CLOSING}\n{OPENING}final{CLOSING}", "stop", "final"),
        (f"{OPENING}draft{CLOSING} {OPENING}final{CLOSING}", "stop", "final"),
        (
            f"{OPENING}\nGood answer.{CLOSING}\n\nI kept the {OPENING} tags as you asked.",
            "stop",
            "Good answer.",
        ),
        (f"{OPENING}\nGood answer.{CLOSING}\n\nI kept the {OPENING} tags as yo", "length", "Good answer."),
        (f"{OPENING}Good.{CLOSING}\n(Written between {OPENING} and {CLOSING}.)", "stop", "Good."),
        (f"{OPENING}Good.{CLOSING} (Written between {OPENING} and {CLOSING}.)", "stop", "Good."),
        (f"I use {OPENING} and {CLOSING}:\r\n{OPENING}\r\nGood.\r\n{CLOSING}\r\nDone.", "stop", "Good."),
        (f"  {OPENING}\nPut it between {OPENING} and {CLOSING}, so.\n{CLOSING}", "stop", PUT),
        (f"Here: {OPENING}New.{CLOSING}", "stop", "New."),
        (f"{OPENING}draft{CLOSING}\n{OPENING}final, but c", "length", None),
        (f"{OPENING}draft{CLOSING}\n{OPENING}final", "stop", "final"),
        (f"{OPENING}\ndraft\n{CLOSING}\n\nOn reflection: {OPENING}\nfinal\n{CLOSING}", "stop", "final"),
        *(
            (f"{OPENING}\ndraft\n{CLOSING}\n\n{label} {OPENING}\nfinal\n{CLOSING}", "stop", "final")
            for label in (
                "**On reflection:**",
                "**Final version**",
                "Final —",
                "Ready?",
                "\u6539\u8fdb\uff1a",
            )
        ),
        (
            f"**Improved:** {OPENING}\nUse {OPENING} in a line.\n{CLOSING}",
            "stop",
            f"Use {OPENING} in a line.",
        ),
        (f"{OPENING}draft{CLOSING}\n**{OPENING}**final{CLOSING}", "stop", "**final"),
        (f"{OPENING}draft{CLOSING}\n> {OPENING}final{CLOSING}", "stop", "final"),
        (f"Thoughts about {OPENING}\n\nHere it is: {OPENING}New.{CLOSING}", "stop", "New."),
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
