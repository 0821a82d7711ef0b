"""A row becomes a query: its conversation, id, reference, and everything else as metadata.

What comes in is untrusted. It is checked here, once, so that no later floor meets an empty prompt, a role
without a name, or text that cannot be written as UTF-8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from tpo.data.row import Row
from tpo.errors import DataError
from tpo.types import Message, Messages, Query, user

PROMPT = "prompt"
MESSAGES = "messages"
OWN_COLUMNS = frozenset({"id", "reference"})


def to_query(row: Row, default_id: str, column: str | None = None) -> Query:
    """The query in *row*; *column* names what holds its prompt or messages, else ``prompt`` or ``messages``.

    Raises:
        DataError: the row holds no usable conversation; the message names its place.
    """
    if isinstance(row.value, str):
        return Query(default_id, _conversation(row, row.value, "the query"))
    if not isinstance(row.value, Mapping):
        raise DataError(f"{row.place}: a query is a text or an object, not {_kind(row.value)}")
    values = cast("Mapping[str, Any]", row.value)
    source = column if column is not None else _default_column(row, values)
    if source not in values:
        raise DataError(f"{row.place}: no {source!r} here; there are {_names(values)}")
    try:
        return Query(
            id=_identity(row, values.get("id"), default_id),
            messages=_conversation(row, values[source], repr(source)),
            reference=_reference(row, values.get("reference")),
            metadata={k: plain_value(v) for k, v in values.items() if k not in OWN_COLUMNS and k != source},
        )
    except RecursionError as error:
        raise DataError(f"{row.place}: is nested too deeply") from error


def _default_column(row: Row, values: Mapping[str, Any]) -> str:
    present = [name for name in (PROMPT, MESSAGES) if values.get(name) is not None]
    if len(present) == 1:
        return present[0]
    if present:
        raise DataError(f"{row.place}: has both 'prompt' and 'messages'; choose one with --column")
    raise DataError(
        f"{row.place}: neither 'prompt' nor 'messages' here; there are {_names(values)}. "
        "Name the one to use with --column"
    )


def _conversation(row: Row, value: object, what: str) -> Messages:
    """A text as a user's turn, a list as a whole conversation that ends with one."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise DataError(f"{row.place}: {what} is empty")
    if isinstance(value, str):
        return (user(value),)
    if not isinstance(value, list):
        raise DataError(f"{row.place}: {what} must be a text or a list of messages, not {_kind(value)}")
    if not value:
        raise DataError(f"{row.place}: {what} is an empty list; it needs one message at least")
    messages = tuple(_message(row, item, f"{what}, message {i}") for i, item in enumerate(value, 1))
    last = messages[-1]
    if last["role"] != "user":
        raise DataError(
            f"{row.place}: {what} must end with a user's turn; its last turn is of the {last['role']}"
        )
    if isinstance(last["content"], str) and not last["content"].strip():
        raise DataError(f"{row.place}: {what} ends with an empty turn")
    return messages


def _message(row: Row, value: object, what: str) -> Message:
    """A checked turn; keys that are null are dropped, since columnar formats fill them in."""
    if not isinstance(value, Mapping):
        raise DataError(f"{row.place}: {what} must be an object of role and content, not {_kind(value)}")
    turn = {str(k): plain_value(v) for k, v in value.items() if v is not None}
    role, content = turn.get("role"), turn.get("content")
    if not isinstance(role, str) or not role:
        raise DataError(f"{row.place}: {what} has no 'role'; there are {_names(value)}")
    if isinstance(content, list) and content:
        turn["content"] = [_part(row, part, f"{what}, part {i}") for i, part in enumerate(content, 1)]
    elif not isinstance(content, str):
        raise DataError(f"{row.place}: {what} has no 'content' that is a text or a list of parts")
    return cast("Message", turn)


def _part(row: Row, value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise DataError(f"{row.place}: {what} must be an object, not {_kind(value)}")
    part = {str(k): v for k, v in value.items() if v is not None}
    if not isinstance(part.get("type"), str):
        raise DataError(f"{row.place}: {what} has no 'type'")
    if part["type"] == "text" and not isinstance(part.get("text"), str):
        raise DataError(f"{row.place}: {what} is of type 'text' and has no 'text'")
    return part


def _identity(row: Row, value: object, default: str) -> str:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise DataError(f"{row.place}: 'id' must be a text that is not empty, or a whole number")
    return str(value)


def _reference(row: Row, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DataError(f"{row.place}: 'reference' must be a text or a number, not {_kind(value)}")
    return None if math.isnan(value) else str(value)


def plain_value(value: object) -> Any:
    """*value* in JSON's own terms: what those cannot say (a date, bytes, an image) becomes its text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain_value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(v) for v in value]
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else str(value)


def _names(values: Mapping[str, Any]) -> str:
    return ", ".join(repr(str(name)[:40]) for name in list(values)[:20]) or "no columns at all"


def _kind(value: object) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", type(None): "null", list: "a list"}
    return names.get(type(value), "an object" if isinstance(value, Mapping) else type(value).__name__)
