"""Fenced blocks, as models write them."""

import pytest

from tpo.rewards.verify.fences import fenced_blocks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('```json\n{"a": 1}\n```', ['{"a": 1}\n']),
        ('```JSON\n{"a": 1}\n```', ['{"a": 1}\n']),
        ('Result: ```json\n{"a": 1}\n```', ['{"a": 1}\n']),
        ("```\n[]\n```\n\n~~~\n{}\n~~~", ["[]\n", "{}\n"]),
        ("```bash\nls\n```\nno block", []),
        ("```json\n[]\n```\n```json\n{", ["[]\n"]),
        ("```json\n{", ["{"]),
        ("```json\n```", []),
        ("no block", []),
        ("", []),
    ],
)
def test_blocks_of_a_language_or_of_none_are_found(text: str, expected: list[str]) -> None:
    assert [block.content for block in fenced_blocks(text, ("json",))] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```Python x=1\na\n```\n```\nb\n```", [("python", "a\n"), ("", "b\n")]),
        ("So: ```python\na\n```\nIt prints:\n```\nb\n```", [("python", "a\n"), ("", "b\n")]),
    ],
)
def test_a_block_comes_with_the_language_that_it_names(text: str, expected: list[tuple[str, str]]) -> None:
    assert fenced_blocks(text, ("python",)) == expected


@pytest.mark.parametrize("mark", ["\u2028", "\x85", "\x0c", "\x0b", "\x1c", "\r\n"])
def test_only_ends_of_lines_end_a_line(mark: str) -> None:
    text = f"```\nfirst\n```\nNot{mark}that.\n\n```\nsecond\n```\nDone."
    assert [block.content for block in fenced_blocks(text, ("python",))] == ["first\n", "second\n"]


def test_a_block_within_a_block_is_a_part_of_it() -> None:
    text = '~~~\ndef add(a, b):\n    """\n    ```python\n    add(1, 2)\n    ```\n    """\n~~~'
    (block,) = fenced_blocks(text, ("python",))
    assert block.content.startswith("def add")


def test_a_text_of_marks_is_read_in_no_time() -> None:
    assert fenced_blocks("![" * 50_000, ("json",)) == []
