"""One OpenAI-compatible server of a policy: what it serves, and how a call is made to fit and is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from tpo.http import HttpClient, HttpFailure
from tpo.perloop import PerLoop
from tpo.policies.chat import (
    LIMIT_FIELDS,
    ModelCard,
    other_limit_field,
    read_cards,
    read_completions,
    read_count,
    request_body,
    told_context,
)
from tpo.policies.context import Fitted, estimate, fit, is_text
from tpo.types import Completion, Messages, Sampling, Scope

TEMPLATE_FIELDS = ("tools", "chat_template", "chat_template_kwargs", "continue_final_message")
"""Extra fields that change what a prompt is, and so how long."""


class ChatServer:
    """The server behind *client*; *extra* fields are added to each request.

    Where it tells its context length, calls are made to fit before they are sent. Nothing is retried here,
    but a request is sent again in other words where the server says what it did not understand.
    """

    def __init__(self, client: HttpClient, extra: Mapping[str, Any]) -> None:
        self.client = client
        self.address = client.address
        self._extra = extra
        self._has_own_limit = any(field in extra for field in LIMIT_FIELDS)
        self._limit_field = LIMIT_FIELDS[0]
        self._listing = PerLoop(asyncio.Lock)
        self._cards: list[ModelCard] | None = None
        self._counts = True

    async def cards(self) -> list[ModelCard]:
        """Return the models that the server lists, and remember them.

        Raises:
            HttpFailure: it does not answer, or with something else.
        """
        self._cards = await self.client.request("GET", "/models", read=read_cards)
        return self._cards

    async def complete(
        self, model: str, messages: Messages, sampling: Sampling, scope: Scope
    ) -> list[Completion]:
        """Return as many of ``sampling.n`` completions as one request brings.

        Raises:
            HttpFailure: none came, or the call cannot be made to fit.
        """
        field, refused = self._limit_field, set[str]()
        while True:
            try:
                fitted = await self._fit(model, messages, sampling, scope)
                served = fitted.served(self.address, sampling.max_tokens)
                limited = sampling
                if fitted.max_tokens < sampling.max_tokens:
                    limited = replace(sampling, max_tokens=fitted.max_tokens)
                body = request_body(model, fitted.messages, limited, self._extra, limit_field=field)
                read = partial(read_completions, n=sampling.n, served=served)
                found = await self.client.request("POST", "/chat/completions", body, read=read, work=_tokens)
            except HttpFailure as failure:
                refused.add(field)
                other = None if self._has_own_limit else other_limit_field(failure, field)
                if other is not None and other not in refused:
                    field = other
                elif not self._learns_context(model, failure):
                    if failure.unreachable:
                        self._cards = None  # what comes up again may have another context
                    raise
            else:
                self._limit_field = field
                return found

    def _learns_context(self, model: str, failure: HttpFailure) -> bool:
        """Return whether *failure* tells a context length that was unknown: then the call may fit."""
        context = told_context(failure)
        card = _named(model, self._cards or [])
        known = card.context if card is not None else None
        if context is None or (known is not None and known <= context):
            return False
        card = replace(card or ModelCard(model), context=context)
        self._cards = [card, *(other for other in self._cards or [] if other.name != model)]
        return True

    async def _fit(self, model: str, messages: Messages, sampling: Sampling, scope: Scope) -> Fitted:
        """Return what is sent: the call itself where the context is unknown, or *extra* sets a limit."""
        cards = self._cards if self._cards is not None else await self._listed()
        card = _named(model, cards)
        if card is None or card.context is None or self._has_own_limit or not is_text(messages):
            return Fitted(messages, sampling.max_tokens)
        return await fit(messages, sampling, scope, card.context, self._counter(model, card))

    async def _listed(self) -> list[ModelCard]:
        async with self._listing.get():  # a run starts with many calls at once: one asks for all of them
            if self._cards is not None:
                return self._cards
            try:
                return await self.cards()
            except HttpFailure as failure:
                if failure.passes or failure.unreachable:
                    raise
                self._cards = []  # it lists none: the call itself will tell what is wrong, if anything is
                return []

    def _counter(self, model: str, card: ModelCard) -> Callable[[Messages], Awaitable[int]]:
        """Return what counts a prompt's tokens: the server's own tokenizer, or an estimate if it has none."""
        shape = {name: self._extra[name] for name in TEMPLATE_FIELDS if name in self._extra}

        async def count(prompt: Messages) -> int:
            if not (card.counts and self._counts):
                return estimate(prompt)
            body = {"model": model, "messages": list(prompt), "add_generation_prompt": True} | shape
            try:
                return await self.client.request("POST", "/tokenize", body, read=read_count, root=True)
            except HttpFailure as failure:
                if failure.passes or failure.unreachable:
                    raise
                self._counts = failure.status is not None and failure.status not in (403, 404)
                return estimate(prompt)

        return count


def _named(model: str, cards: Sequence[ModelCard]) -> ModelCard | None:
    return next((card for card in cards if card.name == model), None)


def _tokens(completions: Sequence[Completion]) -> float:
    """Return the work of a reply: the tokens written, or completions where the server counts none."""
    return sum(completion.usage.completion_tokens for completion in completions) or len(completions)
