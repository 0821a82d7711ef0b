"""Reading a response from a completion."""

from __future__ import annotations

from collections.abc import Callable

from tpo.types import Completion, ToolCallCompletion

Reader = Callable[[Completion], str | None]
"""Return the response in a completion; None where it holds none."""

OPENING = "<improved_response>"
CLOSING = "</improved_response>"


def plain_response(completion: Completion) -> str | None:
    """Return the whole text; None of a completion that calls tools."""
    return None if isinstance(completion, ToolCallCompletion) else completion.text


def tagged_response(completion: Completion) -> str | None:
    """Return the text between the last opening tag and the closing one, or None where there is none.

    A reply that ended by itself may lack the closing tag; one that was cut may not, since its end is missing.
    """
    _, opened, body = completion.text.rpartition(OPENING)
    response, closed, _ = body.rpartition(CLOSING)
    if not opened or not (closed or completion.finish_reason == "stop"):
        return None
    return (response if closed else body).strip() or None
