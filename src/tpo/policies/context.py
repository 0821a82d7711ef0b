"""A call made to fit a server's context before it is sent.

First the reply's limit is lowered to what the prompt leaves. Where that would leave too little, a critique's
or an update's prompt loses the middle of its longest turn, since its beginning says what it is and its end
what is asked for; a first sample's prompt is the user's own and is never touched. What was done is told.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tpo.http import HttpFailure
from tpo.http.tokens import surely_fits, tool_text
from tpo.types import ExtendedSampling, Messages, Sampling, Scope, Served, plain_text

LEAST_REPLY = 256
"""Tokens below which a reply's limit is not lowered, where the context has four times as many."""
LEAST_KEPT = 200
"""Characters that a shortened turn keeps at least."""
SPARE = 1.1
"""Factor by which more is cut than computed, since tokens are not distributed evenly; each try doubles it."""
TRIES = 6
"""Cuts until the most that may go is cut."""

Count = Callable[[Messages], Awaitable[int]]
"""Tokens of a prompt, template and all."""


class ExceedsContext(HttpFailure):
    """A call that is not sent, since its prompt leaves too little of the context for a reply."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Messages and reply limit that are sent instead of the requested ones."""

    messages: Messages
    max_tokens: int
    cut_turn: int | None = None
    cut_characters: int = 0

    def served(self, by: str, asked: int) -> Served:
        """Return the record of the changes: the server is *by*, the requested reply limit *asked*."""
        lowered = self.max_tokens if self.max_tokens < asked else None
        return Served(by, lowered, self.cut_turn, self.cut_characters)


def is_text(messages: Messages) -> bool:
    """Return whether every turn is text alone; only the server knows the tokens of an image."""
    return all(
        not isinstance(content, list) or all(part.get("type") == "text" for part in content)
        for content in (message["content"] for message in messages)
    )


def extra_of(sampling: Sampling) -> Mapping[str, Any]:
    """Return the request fields that *sampling* has of its own."""
    return sampling.extra if isinstance(sampling, ExtendedSampling) else {}


async def fit(messages: Messages, sampling: Sampling, scope: Scope, context: int, count: Count) -> Fitted:
    """*messages* and a reply's limit that fit into *context* tokens, as *count* counts.

    Raises:
        ExceedsContext: they cannot be made to.
    """
    asked = sampling.max_tokens
    if surely_fits(messages, asked, context, tool_text(messages, extra_of(sampling))):
        return Fitted(messages, asked)
    least = max(1, min(asked, LEAST_REPLY, context // 4))
    tokens = await count(messages)
    fitted = Fitted(messages, asked)
    for number in range(TRIES + 1):
        if context - tokens >= least:
            return replace(fitted, max_tokens=min(asked, context - tokens))
        if scope.phase == "sample" or number == TRIES:
            break
        share = math.inf if number == TRIES - 1 else SPARE * 2**number * (tokens - (context - least)) / tokens
        cut = _shorter(messages, fitted, share)
        if cut is None:
            break
        fitted, tokens = cut, await count(cut.messages)
    raise ExceedsContext(
        f"its prompt takes {tokens:,} tokens of the {context:,} that the model reads, which leaves "
        "too little for a reply: shorten it, or serve the model with a longer context",
        status=413,
    )


def _shorter(messages: Messages, so_far: Fitted, share: float) -> Fitted | None:
    """*messages* with more of their longest turn's middle left out; None where nothing more may go.

    *share* is that of all characters; the turn keeps some in any case.
    """
    turn = max(range(len(messages)), key=lambda i: len(_string(messages, i)))
    text = _string(messages, turn)
    characters = sum(len(plain_text(message)) for message in so_far.messages)
    dropped = int(min(len(text) - LEAST_KEPT, so_far.cut_characters + share * characters + 1))
    kept = len(text) - dropped
    if dropped <= so_far.cut_characters:
        return None
    note = f"\n[… {dropped:,} characters left out …]\n"
    short = text[: kept - kept // 2] + note + text[len(text) - kept // 2 :]
    cut = tuple({**m, "content": short} if i == turn else m for i, m in enumerate(messages))
    return replace(so_far, messages=cut, cut_turn=turn, cut_characters=dropped)  # type: ignore[arg-type]  # a Message with other content is one


def _string(messages: Messages, turn: int) -> str:
    content = messages[turn]["content"]
    return content if isinstance(content, str) else ""
