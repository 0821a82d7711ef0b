"""Request bodies for conversations, and parsing of the replies of vLLM's pooling endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tpo.http import HttpFailure
from tpo.inprocess.chat import plain
from tpo.types import Messages, assistant

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One conversation with its response: as token ids where a tokenizer is at hand, and as messages."""

    messages: list[dict[str, Any]]
    ids: Ids | None = None
    cut: int = 0

    @classmethod
    def of(cls, messages: Messages, response: str) -> Reading:
        """As messages.

        Raises:
            ValueError: a turn holds what is no text.
        """
        return cls([plain(message) for message in (*messages, assistant(response))])


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of one request, in order, and the prompt tokens that it counted."""

    values: list[float]
    tokens: int


def read_numbers(reply: Any, count: int) -> Numbers:
    """One number for each of *count* inputs.

    Raises:
        HttpFailure: fewer or more came, which may pass; or the model has several labels, which does not.
    """
    rows = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(rows, list) or len(rows) != count or not all(isinstance(row, dict) for row in rows):
        raise HttpFailure(f"the server sent no list of {count} scores", passes=True)
    ordered = sorted(rows, key=_index)
    usage = reply.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return Numbers([_number(row) for row in ordered], tokens if isinstance(tokens, int) else 0)


def _index(row: dict[str, Any]) -> int:
    index = row.get("index")
    return index if isinstance(index, int) else 0


def _number(row: dict[str, Any]) -> float:
    """The one number in ``probs`` (``/classify``) or ``data`` (``/pooling``)."""
    return only_number(row.get("probs", row.get("data")), "--runner pooling")


def only_number(value: Any, flag: str) -> float:
    """Return the one number in *value*; *flag* is what serves a classifier.

    Raises:
        HttpFailure: there is none, which may pass, or the model has several labels, which does not.
    """
    values = _flat(value)
    if not values:
        raise HttpFailure("the server sent a row without a score", passes=True)
    if len(values) > 1:
        raise HttpFailure(
            f"the server gives {len(values)} numbers a response, where a reward model has one label: serve a "
            f"one-label classifier with {flag}",
            fatal=True,
        )
    return values[0]


def _flat(value: Any) -> list[float]:
    if isinstance(value, list):
        return [number for part in value for number in _flat(part)]
    return [float(value)] if isinstance(value, int | float) else []


def read_tokens(reply: Any) -> Ids:
    """The ids of ``/tokenize``.

    Raises:
        HttpFailure: it sent something else.
    """
    ids = reply.get("tokens") if isinstance(reply, dict) else None
    if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
        raise HttpFailure("the server sent no token ids", passes=True)
    return tuple(ids)


def inputs_of(readings: Sequence[Reading]) -> dict[str, Any]:
    """The field that carries *readings*: ids, any number of them, or one conversation as messages."""
    if all(reading.ids is not None for reading in readings):
        return {"input": [list(reading.ids or ()) for reading in readings]}
    (reading,) = readings
    return {"messages": reading.messages}
