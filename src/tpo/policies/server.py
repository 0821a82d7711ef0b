"""One server of a policy: what it serves, how it is asked, and how much it is asked at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tpo.http import Endpoint, HttpFailure, Timekeeper
from tpo.http.address import root_address
from tpo.http.spread import AT_ONCE, close_all
from tpo.http.window import Window
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
from tpo.types import Completion, Messages, Sampling, Scope, Served

TEMPLATE_FIELDS = ("tools", "chat_template", "chat_template_kwargs", "continue_final_message")
"""Extra fields that change what a prompt is, and so how long."""


@dataclass(frozen=True, slots=True)
class Access:
    """How servers are reached: the same for all servers of a policy."""

    api_key: str | None
    timeout: float
    most: int
    timekeeper: Timekeeper


class ChatServer:
    """The OpenAI-compatible server at *url*; *extra* fields are added to each request.

    It is given as many requests at a time as it bears, at most ``access.most``. Where it tells its context,
    calls are made to fit before they are sent. Every method makes one try: whoever asks decides on more.
    """

    def __init__(self, url: str, access: Access, extra: Mapping[str, Any]) -> None:
        def endpoint(**options: Any) -> Endpoint:
            return Endpoint(
                url,
                access.api_key,
                timeout=access.timeout,
                timekeeper=access.timekeeper,
                patience=AT_ONCE,
                **options,
            )

        self._chat = endpoint()
        self._root = endpoint(address=root_address)
        self.address = self._chat.address
        self._extra = extra
        self._window = PerLoop(lambda: Window(access.most, access.timekeeper))
        self._limit_field = LIMIT_FIELDS[0]
        self._listing = PerLoop(asyncio.Lock)
        self._cards: list[ModelCard] | None = None
        self._counts = True

    async def cards(self) -> list[ModelCard]:
        """The models that it lists, asked now.

        Raises:
            HttpFailure: it does not answer, or with something else.
        """
        return await self._chat.ask("GET", "/models", read=read_cards)

    async def names(self) -> list[str]:
        """The names of its models, remembered from now on."""
        self._cards = await self.cards()
        return [card.name for card in self._cards]

    async def complete(
        self, model: str, messages: Messages, sampling: Sampling, scope: Scope
    ) -> list[Completion]:
        """As many of ``sampling.n`` completions as one request brings.

        Raises:
            HttpFailure: none came, or the call cannot be made to fit.
        """
        try:
            try:
                return await self._fitted_and_asked(model, messages, sampling, scope)
            except HttpFailure as failure:
                if not await self._learns(model, failure):
                    raise
                return await self._fitted_and_asked(model, messages, sampling, scope)
        except HttpFailure as failure:
            if failure.unreachable:
                self._cards = None  # what comes up again may have another context
            raise

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        await close_all([self._chat.aclose, self._root.aclose])

    async def _fitted_and_asked(
        self, model: str, messages: Messages, sampling: Sampling, scope: Scope
    ) -> list[Completion]:
        fitted = await self._fitted(model, messages, sampling, scope)
        served = fitted.served(self.address, sampling.max_tokens)
        if fitted.max_tokens < sampling.max_tokens:
            sampling = replace(sampling, max_tokens=fitted.max_tokens)
        return await self._asked(model, fitted.messages, sampling, served)

    async def _learns(self, model: str, failure: HttpFailure) -> bool:
        """Whether *failure* tells a context that was not known: then the call may be made to fit."""
        context = told_context(failure)
        card = await self._card(model)
        known = card.context if card is not None else None
        if context is None or (known is not None and known <= context):
            return False
        card = replace(card or ModelCard(model), context=context)
        self._cards = [card, *(other for other in self._cards or [] if other.name != model)]
        return True

    async def _asked(
        self, model: str, messages: Messages, sampling: Sampling, served: Served
    ) -> list[Completion]:
        async with self._window.get().place() as place:
            completions = await self._in_its_words(model, messages, sampling, served)
            tokens = sum(completion.usage.completion_tokens for completion in completions)
            place.work = tokens or len(completions)
        return completions

    async def _in_its_words(
        self, model: str, messages: Messages, sampling: Sampling, served: Served
    ) -> list[Completion]:
        """The reply's limit under the name that the server takes, found out once."""
        field = self._limit_field
        try:
            return await self._posted(model, messages, sampling, served, field)
        except HttpFailure as failure:
            other = other_limit_field(failure, field)
            if other is None or other in self._extra or field in self._extra:
                raise
        completions = await self._posted(model, messages, sampling, served, other)
        self._limit_field = other
        return completions

    async def _posted(
        self, model: str, messages: Messages, sampling: Sampling, served: Served, field: str
    ) -> list[Completion]:
        body = request_body(model, messages, sampling, self._extra, limit_field=field)
        read = lambda reply: read_completions(reply, sampling.n, served)  # noqa: E731 - shorter so
        return await self._chat.ask("POST", "/chat/completions", body, read=read)

    async def _fitted(self, model: str, messages: Messages, sampling: Sampling, scope: Scope) -> Fitted:
        """What is sent; as it is where nobody knows the context, or the user set a limit in *extra*."""
        card = await self._card(model)
        own_limit = any(field in self._extra for field in LIMIT_FIELDS)
        if card is None or card.context is None or own_limit or not is_text(messages):
            return Fitted(messages, sampling.max_tokens)

        async def count(prompt: Messages) -> int:
            return await self._count(model, prompt) if card.counts else estimate(prompt)

        return await fit(messages, sampling, scope, card.context, count)

    async def _card(self, model: str) -> ModelCard | None:
        if self._cards is None:
            async with self._listing.get():  # a run starts with many calls at once: one asks for all of them
                if self._cards is None:
                    self._cards = await self._cards_if_any()
        return next((card for card in self._cards if card.name == model), None)

    async def _cards_if_any(self) -> list[ModelCard]:
        try:
            return await self.cards()
        except HttpFailure as failure:
            if failure.passes or failure.unreachable:
                raise
            return []  # it lists none: the call itself will tell what is wrong, if anything is

    async def _count(self, model: str, messages: Messages) -> int:
        """The prompt's tokens as the server's own tokenizer makes them, or an estimate if it tells none."""
        if not self._counts:
            return estimate(messages)
        shape = {name: self._extra[name] for name in TEMPLATE_FIELDS if name in self._extra}
        body = {"model": model, "messages": list(messages), "add_generation_prompt": True} | shape
        try:
            return await self._root.ask("POST", "/tokenize", body, read=read_count)
        except HttpFailure as failure:
            if failure.passes or failure.unreachable:
                raise
            self._counts = failure.status is not None and failure.status not in (403, 404)
            return estimate(messages)
