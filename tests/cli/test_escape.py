"""Whatever a model writes, the terminal only shows it."""

from __future__ import annotations

import io
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tpo.cli.escape import for_reader, literal, one_line, visible


def printed(text: str) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=200, color_system=None)
    console.print(literal(text), soft_wrap=True)
    return str(console.file.getvalue())  # type: ignore[attr-defined]  # the StringIO from above


def test_an_answer_steers_no_terminal_and_reaches_a_file_as_it_is() -> None:
    assert for_reader("a\x1b[2J\u202e", terminal=True) == "a\\x1b[2J\\u202e"
    assert for_reader("a\x1b[2J\u202e", terminal=False) == "a\x1b[2J\u202e"


def test_markup_in_a_text_is_text() -> None:
    assert printed("[red]no[/red] [/] [link=http://x]") == "[red]no[/red] [/] [link=http://x]\n"


def test_escape_codes_are_written_out() -> None:
    assert printed("a\x1b[31mred\x07\x9b2J") == "a\\x1b[31mred\\x07\\x9b2J\n"


def test_line_breaks_tabs_emoji_and_joiners_stay() -> None:
    assert visible("a\r\nb\tc 👩‍🚀 می‌خواهم") == "a\nb   c 👩‍🚀 می‌خواهم"


def test_writing_direction_and_lone_surrogates_are_written_out() -> None:
    assert visible("\u202eabc\ud800\u2028") == "\\u202eabc\\ud800\\u2028"


@settings(deadline=None)
@given(st.text())
def test_nothing_that_steers_is_left_in_any_text(text: str) -> None:
    kinds = {unicodedata.category(c) for c in visible(text) if c not in "\n\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    visible(text).encode("utf-8")


@settings(deadline=None)
@given(st.text(), st.integers(2, 40))
def test_one_line_is_one_line_and_fits(text: str, width: int) -> None:
    line = one_line(text, width)
    assert "\n" not in line
    assert len(line) <= width
