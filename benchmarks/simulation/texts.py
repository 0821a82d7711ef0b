"""Texts that stand for a number of tokens, and how a prompt of them falls into cache blocks.

A simulated reply is a short mark, ``[id:length]``, which counts as *length* tokens of its own. Whatever is
between marks is real text, the recipes' own, and counts a token for four characters. So real recipes build
real prompts, and what two prompts share is found as a server would find it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tpo.types import Message, plain_text

Run = tuple[str, int]
"""A piece of text, told apart by its name, and its tokens."""

CHARACTERS_PER_TOKEN = 4
HEADER_TOKENS = 4
"""What a chat template puts before and after a turn."""

_MARK = re.compile(r"(\[\w+:\d+\])")


def mark(name: str, tokens: int) -> str:
    """A text of *tokens* tokens."""
    return f"[{name}:{tokens}]"


def text_runs(text: str) -> Iterator[Run]:
    """The pieces of *text*, in order."""
    for piece in _MARK.split(text):
        if not piece:
            continue
        if piece[0] == "[" and _MARK.fullmatch(piece):
            yield piece, int(piece[piece.rindex(":") + 1 : -1])
        else:
            yield piece, -(-len(piece) // CHARACTERS_PER_TOKEN)


def prompt_runs(messages: Iterable[Message]) -> list[Run]:
    """A conversation as its template would have it, ready for the reply."""
    runs: list[Run] = []
    for message in messages:
        runs.append((f"<{message['role']}>", HEADER_TOKENS))
        runs.extend(text_runs(plain_text(message)))
    return [*runs, ("<assistant>", HEADER_TOKENS)]


def length(runs: Iterable[Run]) -> int:
    """Tokens."""
    return sum(tokens for _, tokens in runs)


def block_keys(runs: Iterable[Run], block: int) -> list[int]:
    """A key for each whole block of *runs*; equal keys mean equal texts from the start to the block's end."""
    keys: list[int] = []
    before, start = 0, 0
    for name, tokens in runs:
        end = start + tokens
        keys.extend(
            hash((before, name, place - start))
            for place in range((start // block + 1) * block, end + 1, block)
        )
        before, start = hash((before, name, tokens)), end
    return keys
