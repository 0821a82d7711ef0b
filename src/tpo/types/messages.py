"""Messages of a conversation, and the query that ends one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired

from typing_extensions import TypedDict  # pydantic takes the standard one from Python 3.12 on

from tpo.frozen import freeze

_SHOWN = 60
"""Characters of a text in a representation."""


class Message(TypedDict):
    """One turn of a conversation, as chat servers and chat templates take it.

    The content of a turn that only calls tools may be None.
    """

    role: str
    content: str | list[dict[str, Any]] | None
    name: NotRequired[str]


# Pydantic keeps keys that this package does not know (tool calls, names).
Message.__pydantic_config__ = {"extra": "allow"}  # type: ignore[attr-defined]  # pydantic's own protocol

Messages = tuple[Message, ...]


def user(content: str) -> Message:
    """A user's turn."""
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    """The model's turn."""
    return {"role": "assistant", "content": content}


def system(content: str) -> Message:
    """A system text."""
    return {"role": "system", "content": content}


@dataclass(frozen=True, slots=True, repr=False)
class Query:
    """Query: a conversation that ends with a user's turn.

    *position* counts from 0 in the data; exports are in its order. It is no part of the query's identity.
    """

    id: str
    messages: Messages
    reference: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    position: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Copy messages and metadata, so that they cannot be changed from elsewhere."""
        object.__setattr__(self, "messages", freeze(tuple(self.messages)))
        object.__setattr__(self, "metadata", freeze(self.metadata))

    def __repr__(self) -> str:
        return f"Query({self.id!r}, {excerpt(self.text)})"

    @property
    def text(self) -> str:
        """The last user turn as plain text, parts that are not text left out."""
        return plain_text(self.messages[-1])


def plain_text(message: Message) -> str:
    """The text of a turn; of a turn in parts, its text parts joined by line breaks.

    A turn that only calls tools may have none.
    """
    content = message["content"] or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in content if part.get("type") == "text")


def excerpt(text: str) -> str:
    """Return the start of *text*, quoted."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "\u2026")
