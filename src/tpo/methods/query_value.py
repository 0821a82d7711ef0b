"""A query from what a caller passes: a text, messages, or a Query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from tpo.data.digest import query_digest
from tpo.errors import DataError
from tpo.types import Message, Query, user

QueryValue = Query | str | Sequence[Mapping[str, Any]]
"""A text, a conversation that ends with a user's turn, or a :class:`Query`."""


def as_query(value: QueryValue, id: str | None = None) -> Query:  # noqa: A002 - as the field is named
    """Return *value* as a query; without *id* its id is a digest of its content.

    Raises:
        DataError: *value* is something else, or does not end with a turn of the user or of a tool.
    """
    if not (id is None or (isinstance(id, str) and id)):
        raise DataError(f"a query's id must be a str that is not empty, not {id!r:.200}")
    if isinstance(value, Query):
        query = value if id is None else replace(value, id=id)
    else:
        messages = (user(value),) if isinstance(value, str) else _messages(value)
        query = Query(id or "", messages)
        if id is None:
            query = replace(query, id="q" + query_digest(query).partition(":")[2][:12])
    if not query.messages or query.messages[-1]["role"] not in ("user", "tool"):
        raise DataError(f"query {query.id!r}: its messages must end with a turn of the user or of a tool")
    return query


def _messages(value: object) -> tuple[Message, ...]:
    if not isinstance(value, list | tuple):
        wanted = "a query must be a str, a list of messages or a tpo.Query"
        hint = ": put a single message into a list" if isinstance(value, Mapping) else ""
        raise DataError(f"{wanted}, not {_named(value)}{hint}")
    return tuple(_message(number, message) for number, message in enumerate(value))


def _message(number: int, message: object) -> Message:
    if not isinstance(message, Mapping):
        raise DataError(f"messages[{number}] must be a dict with role and content, not {_named(message)}")
    for key, kinds in (("role", str), ("content", str | list | tuple)):
        if key not in message:
            raise DataError(f"messages[{number}] has no {key!r}; its keys are {list(message)!r:.200}")
        if not isinstance(message[key], kinds):
            expected = "a str" if key == "role" else "a str or a list of parts"
            raise DataError(f"messages[{number}][{key!r}] must be {expected}, not {_named(message[key])}")
    return cast("Message", dict(message))


def _named(value: object) -> str:
    return "None" if value is None else type(value).__name__
