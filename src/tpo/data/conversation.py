"""Conversations: checked turns in the forms that data sets use (chat messages, ShareGPT, Alpaca)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, cast

from tpo.errors import DataError
from tpo.types import Message, Messages, assistant, plain_text, user

SPEAKERS: Mapping[str, str] = MappingProxyType(
    {
        "human": "user",
        "user": "user",
        "gpt": "assistant",
        "chatgpt": "assistant",
        "bard": "assistant",
        "bing": "assistant",
        "assistant": "assistant",
        "model": "assistant",
        "system": "system",
    }
)
"""Roles of ShareGPT's speakers."""


def read_conversation(value: object, what: str, *, drop_last_assistant: bool = False) -> tuple[Messages, str]:
    """Return the conversation in *value* and the answer that was dropped from its end, empty if none was.

    A text is a user's turn, a list is a whole conversation that ends with one.

    Raises:
        DataError: it is neither, or a turn is invalid; *what* names the value in the message.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        raise DataError(f"{what} is empty" + (" (null)" if value is None else ""))
    if isinstance(value, str):
        return (user(value),), ""
    if not isinstance(value, list):
        raise DataError(f"{what} must be a text or a list of messages, not {kind(value)}")
    if not value:
        raise DataError(f"{what} is an empty list; it needs one message at least")
    messages = [_message(item, f"{what}, message {i}") for i, item in enumerate(value, 1)]
    dropped: list[str] = []
    while drop_last_assistant and messages and messages[-1]["role"] == "assistant":
        dropped.insert(0, plain_text(messages.pop()))
    _check_end(messages, what)
    return tuple(messages), "\n\n".join(dropped)


def _check_end(messages: list[Message], what: str) -> None:
    if not messages:
        raise DataError(f"{what} holds the assistant's turns alone")
    last = messages[-1]
    if last["role"] == "assistant":
        raise DataError(
            f"{what} must end with a user's turn; its last turn is of the assistant. Leave such answers out"
            " with --drop-last-assistant"
        )
    if last["role"] != "user":
        raise DataError(f"{what} must end with a user's turn; its last turn is of the {last['role']}")
    if isinstance(last["content"], str) and not last["content"].strip():
        raise DataError(f"{what} ends with an empty turn")


def _message(value: object, what: str) -> Message:
    """Return a checked turn; keys that are null are dropped, since columnar formats fill them in."""
    if not isinstance(value, Mapping):
        raise DataError(f"{what} must be an object of role and content, not {kind(value)}")
    turn = {str(k): plain_value(v) for k, v in value.items() if v is not None}
    if "role" not in turn and "from" in turn:
        turn = _share_gpt(turn, what)
    role, content = turn.get("role"), turn.get("content")
    if not isinstance(role, str) or not role:
        raise DataError(
            f"{what} has no 'role'; there are {', '.join(map(repr, list(value)[:20])) or 'no keys'}"
        )
    if isinstance(content, list) and content:
        turn["content"] = [_part(part, f"{what}, part {i}") for i, part in enumerate(content, 1)]
    elif not isinstance(content, str):
        raise DataError(f"{what} has no 'content' that is a text or a list of parts")
    return cast("Message", turn)


def _share_gpt(turn: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return ShareGPT's ``from`` and ``value`` as role and content; weights and other keys are dropped."""
    speaker = turn["from"]
    role = SPEAKERS.get(speaker.lower()) if isinstance(speaker, str) else None
    if role is None:
        raise DataError(f"{what} is from {str(speaker)[:40]!r}; known speakers are {', '.join(SPEAKERS)}")
    return {"role": role, "content": turn.get("value")}


def _part(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise DataError(f"{what} must be an object, not {kind(value)}")
    part = {str(k): v for k, v in value.items() if v is not None}
    if not isinstance(part.get("type"), str):
        raise DataError(f"{what} has no 'type'")
    if part["type"] == "text" and not isinstance(part.get("text"), str):
        raise DataError(f"{what} is of type 'text' and has no 'text'")
    return part


def earlier_turns(history: object) -> Iterator[Message]:
    """Yield the turns of an Alpaca row's ``history``: pairs of a user's text and an answer.

    Raises:
        DataError: it has another shape.
    """
    pairs = history if isinstance(history, list) else [] if history is None else [None]
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise DataError("'history' must be a list of pairs: a user's text and the answer to it")
        yield user(pair[0])
        yield assistant(pair[1])


def plain_value(value: object) -> Any:
    """Return *value* in JSON's types: what those cannot hold (a date, bytes, an image) becomes its text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain_value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(v) for v in value]
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else str(value)


def kind(value: object) -> str:
    """Return the JSON type of *value* in words, for messages."""
    names = {bool: "true or false", int: "a number", float: "a number", type(None): "null", list: "a list"}
    return names.get(type(value), "an object" if isinstance(value, Mapping) else type(value).__name__)
