"""Model cards: the models that a server lists at ``/models``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tpo.http.client import HttpClient
from tpo.http.failures import HttpFailure
from tpo.per_loop import PerLoop

CONTEXT_FIELDS = ("max_model_len", "context_length", "context_window", "max_context_length")
"""Names of the context length: of vLLM and SGLang, OpenRouter, Groq, and other gateways."""
NAMES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Known properties of a model at a server.

    Attributes:
        name: its name there.
        context: tokens that it reads, the reply included.
        counts: whether the server counts a prompt's tokens, as vLLM and llama.cpp do.
        reply: the longest reply, in tokens.
        root: the place of its files.
    """

    name: str
    context: int | None = None
    counts: bool = False
    reply: int | None = None
    root: str | None = None

    def learned(self, context: int | None, reply: int | None) -> ModelCard:
        """Return the card with limits that a refusal told, where they are lower than the known ones."""
        return replace(self, context=_least(self.context, context), reply=_least(self.reply, reply))


def read_cards(reply: Any) -> list[ModelCard]:
    """Return the models that a server lists.

    Raises:
        HttpFailure: it sent something else.
    """
    rows = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(rows, list):
        reason = "the server's list of models cannot be read: name the model, for the policy with --model"
        raise HttpFailure(reason, fatal=True)
    return [_card(row) for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]


def chosen_card(
    cards: Sequence[ModelCard], model: str | None, address: str, *, advice: str = "name one model"
) -> ModelCard:
    """Return the card of *model*; None: the only card. *advice* tells how to name a model.

    Raises:
        HttpFailure: there is none such, or several where none was named; no request will help.
    """
    found = [card for card in cards if model in (None, card.name)]
    if len(found) == 1:
        return found[0]
    serves = f"serves {listed([card.name for card in cards])}" if cards else "lists no model"
    if model is None:
        raise HttpFailure(f"the server at {address} {serves}: {advice}", fatal=True)
    raise HttpFailure(f"the server at {address} has no model {model!r}; it {serves}", fatal=True)


async def request_card(client: HttpClient, model: str | None, path: str = "/models") -> ModelCard:
    """Return the card of *model*, or the only one, of those that the server of *client* lists at *path*.

    Raises:
        HttpFailure: there is none such, or several where none was named.
    """
    cards = await client.request("GET", path, read=read_cards)
    return chosen_card(cards, model, client.address)


class CardSource:
    """Card of *model*, or of the only one, that the server of *client* lists at *path*: requested once.

    Unless it *is_needed*, a named model has a card without limits where the server has none for it: such a
    server may answer calls all the same.
    """

    def __init__(
        self, client: HttpClient, model: str | None, path: str = "/models", *, is_needed: bool = True
    ) -> None:
        self._client, self._model, self._path = client, model, path
        self._is_needed = is_needed
        self._card: ModelCard | None = None
        self._requesting = PerLoop(asyncio.Lock)

    async def get(self) -> ModelCard:
        """Return the card; of calls at the same time one requests it.

        Raises:
            HttpFailure: the server did not answer, has no such model, or several where none was named.
        """
        async with self._requesting.get():
            if self._card is None:
                self._card = await self._request()
            return self._card

    def forget(self) -> None:
        """Have the next call request the card again."""
        self._card = None

    async def _request(self) -> ModelCard:
        try:
            return await request_card(self._client, self._model, self._path)
        except HttpFailure as failure:
            if self._is_needed or self._model is None or failure.unreachable:
                raise
            return ModelCard(self._model)


def listed(names: Sequence[str]) -> str:
    """Return *names* for a sentence: quoted, shortened, and not too many."""
    shown = ", ".join(repr(name)[:100] for name in names[:NAMES_SHOWN])
    return shown + (f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else "") or "none"


def _card(row: Mapping[str, Any]) -> ModelCard:
    meta, root = row.get("meta"), row.get("root")
    llama_cpp = _count(meta.get("n_ctx")) if isinstance(meta, dict) else None
    contexts = [*(_count(row.get(name)) for name in CONTEXT_FIELDS), llama_cpp]
    return ModelCard(
        row["id"],
        next(filter(None, contexts), None),
        counts=bool(contexts[0] or llama_cpp),
        root=root if isinstance(root, str) else None,
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
