"""Fenced blocks of a response, as CommonMark defines them, and as models write them."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from markdown_it import MarkdownIt

_IN_A_LINE = re.compile(r"```([^\s`]*)[^\n`]*\n(.*?)```", re.DOTALL)
"""A block whose first fence stands behind text, where CommonMark sees none."""


class Block(NamedTuple):
    """Content of a fenced block, and the language that it names, in lower case; empty where it names none."""

    language: str
    content: str


def fenced_blocks(text: str, languages: Collection[str]) -> list[Block]:
    """Return the blocks whose info string is empty or begins with one of *languages*.

    A block that never ends counts only where none does. Tags such as ``<answer>`` begin no HTML.
    """
    lines = re.split(r"\r\n|\r|\n", text)  # as the parser counts them; splitlines() splits at more
    closed: list[Block] = []
    open_ended: list[Block] = []
    for token in MarkdownIt("commonmark").disable(["html_block", "inline"]).parse(text):
        if token.type == "fence" and token.map and token.content.strip():
            last = lines[min(token.map[1], len(lines)) - 1]
            ends = last.strip(" \t>").startswith(token.markup) and token.map[1] - token.map[0] > 1
            (closed if ends else open_ended).append(Block(_language(token.info), token.content))
    in_a_line = [Block(_language(info), code) for info, code in _IN_A_LINE.findall(text) if code.strip()]
    closed, in_a_line, open_ended = (
        [block for block in found if block.language in ("", *languages)]
        for found in (closed, in_a_line, open_ended)
    )
    # Behind a fence in a line, CommonMark takes the text between the blocks for a block.
    named = [block for block in in_a_line if block.language]
    if any(not _is_within(block, closed) for block in named) and not any(each.language for each in closed):
        return in_a_line
    return closed or in_a_line or open_ended


def _is_within(block: Block, others: Collection[Block]) -> bool:
    return any(block.content in other.content for other in others)


def _language(info: str) -> str:
    return (info.split() or [""])[0].lower()
