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
    assert fenced_blocks(text, ("json",)) == expected


def test_a_text_of_marks_is_read_in_no_time() -> None:
    assert fenced_blocks("![" * 50_000, ("json",)) == []
