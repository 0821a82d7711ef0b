"""What went and what came between two texts."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from tpo.cli.escape import visible
from tpo.cli.text_diff import COME, GONE, LONGEST, difference


def marked(text: Text, style: str) -> list[str]:
    return [text.plain[span.start : span.end] for span in text.spans if span.style == style]


def test_changed_words_are_marked_and_the_rest_is_not() -> None:
    before, after = difference("Dear Leo, come on Sunday.", "Dear Leo, please come on Friday.")
    assert marked(before, GONE) == ["Sunday"]
    assert [part.strip() for part in marked(after, COME)] == ["please", "Friday"]


@settings(deadline=None)
@given(st.text(), st.text())
def test_both_texts_are_whole(before: str, after: str) -> None:
    left, right = difference(before, after)
    assert (left.plain, right.plain) == (visible(before), visible(after))


def test_very_long_texts_are_left_unmarked() -> None:
    left, right = difference("a " * LONGEST, "b " * LONGEST)
    assert not left.spans
    assert not right.spans
