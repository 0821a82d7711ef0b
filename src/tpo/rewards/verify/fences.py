"""Fenced blocks of a response, as CommonMark defines them, and as models write them."""

from __future__ import annotations

import re
from collections.abc import Collection

from markdown_it import MarkdownIt

_IN_A_LINE = re.compile(r"```([^\s`]*)[^\n`]*\n(.*?)```", re.DOTALL)
"""A block whose first fence stands behind text, where CommonMark sees none."""


def fenced_blocks(text: str, languages: Collection[str]) -> list[str]:
    """Return the contents of the blocks whose info string is empty or begins with one of *languages*.

    A block that never ends counts only where none does. Tags such as ``<answer>`` begin no HTML.
    """
    lines = text.splitlines()
    closed: list[str] = []
    open_ended: list[str] = []
    for token in MarkdownIt("commonmark").disable(["html_block", "inline"]).parse(text):
        if token.type == "fence" and token.map and token.content.strip() and _is_of(token.info, languages):
            last = lines[min(token.map[1], len(lines)) - 1]
            ends = last.strip(" \t>").startswith(token.markup) and token.map[1] - token.map[0] > 1
            (closed if ends else open_ended).append(token.content)
    found = _IN_A_LINE.findall(text)
    in_a_line = [code for info, code in found if code.strip() and _is_of(info, languages)]
    return closed or in_a_line or open_ended


def _is_of(info: str, languages: Collection[str]) -> bool:
    return (info.split() or [""])[0].lower() in ("", *languages)
