"""Prompts fitted into a model's context: the beginning of the conversation is cut, never the response."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from tpo.types import Message, plain_text

TRIES = 6
"""Cuts until the most that may go is cut."""
SPARE = 1.1
"""Factor by which more is cut than computed, since tokens are not distributed evenly; each try doubles it."""
SPARE_TOKENS = 64
"""Tokens kept free for a chat template, and for a server's own words around a question."""

log = logging.getLogger(__name__)

Build = Callable[[int], Sequence[Message]]
"""Returns the prompt without the first characters, as many as it is given, of the conversation in it."""
Count = Callable[[Sequence[Message]], Awaitable[int]]
"""Returns the tokens of a prompt."""


class TooLong(ValueError):
    """A response that does not fit into the context, even without its conversation."""


async def needed_cut(build: Build, length: int, room: int, count: Count) -> tuple[int, int]:
    """Return how many characters of a conversation to leave out, and how many tokens those are.

    Args:
        build: makes the prompt.
        length: characters of the conversation.
        room: tokens that the prompt may have.
        count: counts a prompt's tokens; it is not called where each byte could be a token.

    Raises:
        TooLong: the rest of the prompt alone is too long.
        HttpFailure: the server did not count.
    """
    prompt = build(0)
    if sum(map(_bytes, prompt)) <= room:  # no token is less than a byte
        return 0, 0
    whole = tokens = await count(prompt)
    if whole <= room:
        return 0, 0
    cut, most = 0, max(0, length - 1)
    for number in range(1, TRIES + 1):
        characters = sum(len(plain_text(message)) for message in prompt)
        more = int(SPARE * 2 ** (number - 1) * (tokens - room) * characters / tokens) + 1
        cut = most if number == TRIES else min(cut + more, most)
        prompt = build(cut)
        tokens = await count(prompt)
        if tokens <= room:
            return cut, whole - tokens
        if cut == most:
            break
    raise TooLong(f"the response and the question take more than the {room:,} tokens that are left for them")


def without_start(text: str, cut: int) -> str:
    """Return *text* without its first *cut* characters, and a note in their place."""
    return f"[… {cut:,} characters left out …]\n{text[cut:]}" if cut else text


def reply_room(max_tokens: int, context: int | None) -> int:
    """Return the tokens of a reply: *max_tokens*, but at most a quarter of the context."""
    return max_tokens if context is None else min(max_tokens, context // 4)


def least(*limits: int | None) -> int | None:
    """Return the lowest of the *limits* that are known."""
    return min((limit for limit in limits if limit is not None), default=None)


class CutWarning:
    """Warns once that the prompts of the reward *name* are cut."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_told = False

    def tell(self, lost: int, context: int | None, place: str) -> None:
        """Warn that *lost* tokens were left out, if there are any and no one was told before."""
        if lost and not self._is_told:
            self._is_told = True
            log.warning(
                "%s: prompts beyond %s tokens lose the beginning of the conversation, never the response: the"
                " first is that of %s, by %s tokens; candidates hold theirs in truncated_tokens",
                *(self._name, f"{context:,}", place, f"{lost:,}"),
            )


def _bytes(message: Message) -> int:
    return len(plain_text(message).encode("utf-8", "surrogatepass"))
