"""Reading a response from a completion."""

from __future__ import annotations

import re
from collections.abc import Callable

from tpo.types import Completion, ToolCallCompletion

Reader = Callable[[Completion], str | None]
"""Return the response in a completion; None where it holds none."""

OPENING = "<improved_response>"
CLOSING = "</improved_response>"
_AT_END = rf"{OPENING}(?=[ \t\r]*$)"
_START = re.compile(
    rf"(?:^[ \t>*#-]*|(?<={CLOSING})[ \t]*){OPENING}|[:.!?\u2026\u3002\uff01\uff1a\uff1f][*_ \t]*{_AT_END}",
    re.MULTILINE,
)
"""An opening tag that begins a line, ends one behind a sentence, or stands behind the end of a draft."""
_AFTER_DRAFT = re.compile(_AT_END, re.MULTILINE)
_END = re.compile(rf"{CLOSING}[ \t\r]*$", re.MULTILINE)


def plain_response(completion: Completion) -> str | None:
    """Return the whole text; None of a completion that calls tools."""
    return None if isinstance(completion, ToolCallCompletion) else completion.text


def tagged_response(completion: Completion) -> str | None:
    """Return the text between the last opening tag and the closing one, or None where there is none.

    A tag within a line may only be mentioned: a closed pair whose opening tag begins a line, or ends one
    behind a sentence or behind a draft, comes before it.
    A reply that ended by itself may lack the closing tag; one that was cut may not, since its end is missing.
    """
    start, is_closed = start_of_update(completion.text)
    body = completion.text[start:]
    if is_closed:
        end = _END.search(body)
        return (body[: end.start()] if end else body.partition(CLOSING)[0]).strip() or None
    response, closed, _ = body.rpartition(CLOSING)
    if not start or not (closed or completion.finish_reason == "stop"):
        return None
    return (response if closed else body).strip() or None


def start_of_update(text: str) -> tuple[int, bool]:
    """Return the place behind the opening tag of the update in *text*; 0 where there is none.

    And whether the tag stands where an update begins, and is closed.
    """
    starts = [found.end() for found in _START.finditer(text)]
    if (draft := text.find(CLOSING)) >= 0:
        starts += [found.end() for found in _AFTER_DRAFT.finditer(text, draft)]
    start = max(starts, default=0)
    if start and CLOSING in text[start:]:
        return start, True
    before, tag, _ = text.rpartition(OPENING)
    return (len(before) + len(tag) if tag else 0), False
