"""Fenced blocks of a response, as CommonMark defines them."""

from __future__ import annotations

from collections.abc import Collection

from markdown_it import MarkdownIt


def fenced_blocks(text: str, languages: Collection[str]) -> list[str]:
    """Return the contents of the blocks whose info string is empty or begins with one of *languages*."""
    found = []
    for token in MarkdownIt("commonmark").parse(text):
        language = (token.info.split() or [""])[0].lower()
        if token.type == "fence" and language in ("", *languages):
            found.append(token.content)
    return found
