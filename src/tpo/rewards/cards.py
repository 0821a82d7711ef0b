"""Model cards of a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tpo.http import HttpFailure


@dataclass(frozen=True, slots=True)
class Card:
    """Model card of a server: the model's name, the place of its files, and its context in tokens."""

    name: str
    root: str | None = None
    context: int | None = None


def read_cards(reply: Any) -> list[Card]:
    """The models that a server lists.

    Raises:
        HttpFailure: it sent something else.
    """
    rows = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(rows, list):
        raise HttpFailure("the server sent no list of models: is it vLLM?", fatal=True)
    return [_card(row) for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]


def _card(row: dict[str, Any]) -> Card:
    root, context = row.get("root"), row.get("max_model_len")
    return Card(
        row["id"], root if isinstance(root, str) else None, context if isinstance(context, int) else None
    )


def chosen_card(cards: list[Card], model: str | None, address: str) -> Card:
    """The model named *model*, or the only one.

    Raises:
        HttpFailure: there is none such, or several where none was named; no request will help.
    """
    names = ", ".join(repr(card.name)[:100] for card in cards) or "none"
    found = [card for card in cards if model in (None, card.name)]
    if len(found) == 1:
        return found[0]
    if model is None:
        raise HttpFailure(f"the server at {address} serves {names}: name one model", fatal=True)
    raise HttpFailure(f"the server at {address} has no model {model!r}; it serves {names}", fatal=True)
