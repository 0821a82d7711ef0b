"""One OpenAI-compatible server of a policy: what it serves, and how a call is made to fit and is sent."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tpo.http import HttpClient, HttpFailure
from tpo.http.chat import read_completions, request_body, without_system_role
from tpo.http.model_cards import ModelCard, read_cards
from tpo.http.refusals import (
    LIMIT_FIELDS,
    may_refuse_n,
    other_limit_field,
    refuses_field,
    refuses_system_role,
    told_context,
    told_reply_limit,
)
from tpo.http.tokens import ServerTokenizer, estimated_tokens, tool_text
from tpo.per_loop import PerLoop
from tpo.policies.context import Fitted, extra_of, fit, is_text
from tpo.types import Completion, Messages, Sampling, Scope

LISTINGS = 3
"""Attempts to list the server's models."""
MARGIN = 4 / 3
"""Factor of an estimated count: a prompt that turns out longer than the context is refused."""


OnEvent = Callable[[Any], None]
"""Receives the events of a streamed reply."""


@dataclass(frozen=True, slots=True)
class _Dialect:
    """Request form of a server: its name for the reply limit, and what it does not take."""

    limit_field: str = LIMIT_FIELDS[0]
    merges_system: bool = False
    counts_streams: bool = True
    streams: bool = True

    def after(self, failure: HttpFailure, *, has_system: bool, own_limit: bool) -> _Dialect | None:
        """Return how to ask instead, if *failure* says what was not understood; None if it does not."""
        other = None if own_limit else other_limit_field(failure, self.limit_field)
        if other is not None:
            return replace(self, limit_field=other)
        if has_system and not self.merges_system and refuses_system_role(failure):
            return replace(self, merges_system=True)
        if self.counts_streams and refuses_field(failure, "stream_options"):
            return replace(self, counts_streams=False)
        if self.streams and refuses_field(failure, "stream"):
            return replace(self, streams=False)
        return None


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
        self._dialect = _Dialect()
        self.fallbacks = 0
        """Times in a row that the server failed on several choices and then gave a single one."""
        self.gave_several = False
        """True once a reply had several choices."""
        self._listing = PerLoop(asyncio.Lock)
        self._cards: list[ModelCard] | None = None
        self._unlisted = 0
        self._tokenizer = ServerTokenizer(client, extra)

    async def cards(self) -> list[ModelCard]:
        """Return the models that the server lists, and remember them.

        Raises:
            HttpFailure: it does not answer, or with something else.
        """
        self._cards = await self.client.request("GET", "/models", read=read_cards)
        return self._cards

    async def complete(
        self,
        model: str,
        messages: Messages,
        sampling: Sampling,
        scope: Scope,
        begin_stream: Callable[[], OnEvent] | None = None,
    ) -> list[Completion]:
        """Return as many of ``sampling.n`` completions as one request brings.

        Where the server fails on several choices, a request for a single one follows at once. With
        *begin_stream*, which is called before each request, the reply is streamed to what it returns.

        Raises:
            HttpFailure: none came, or the call cannot be made to fit.
        """
        dialect, failed = self._dialect, None
        tried = {dialect}
        while True:
            card = await self._card(model)
            sent = without_system_role(messages) if dialect.merges_system else messages
            try:
                fitted = await self._fit(card, sent, sampling, scope)
                served = fitted.served(self.address, sampling.max_tokens)
                limited = replace(sampling, max_tokens=min(fitted.max_tokens, sampling.max_tokens))
                body = request_body(
                    model,
                    fitted.messages,
                    limited,
                    self._extra,
                    limit_field=dialect.limit_field,
                    streams=dialect.streams and begin_stream is not None,
                    counts=dialect.counts_streams,
                )
                read = partial(read_completions, n=sampling.n, served=served)
                on_event = None if begin_stream is None else begin_stream()
                found = await self.client.request(
                    "POST", "/chat/completions", body, read=read, work=_tokens, on_event=on_event
                )
            except HttpFailure as failure:
                other = dialect.after(failure, has_system=_has_system(sent), own_limit=self._has_own_limit)
                if other is not None and other not in tried:
                    dialect = other
                    tried.add(dialect)
                elif self._has_learned(card, failure):
                    continue
                elif sampling.n > 1 and may_refuse_n(failure):
                    failed, sampling = failure, sampling.only(0)
                else:
                    if failure.unreachable:
                        self._cards = None  # what comes up again may have another context
                    raise (failed or failure) from None
            else:
                self._dialect = dialect
                if failed is not None:
                    self.fallbacks += 1
                elif len(found) > 1:
                    self.fallbacks, self.gave_several = 0, True
                return found

    def _has_learned(self, card: ModelCard, failure: HttpFailure) -> bool:
        """Return whether more is known of the model than *card*, by which the refused call was made to fit.

        *failure* may tell it, or the refusal of another call meanwhile.
        """
        context, reply = told_context(failure), told_reply_limit(failure)
        if context is None and reply is None:
            return False
        known = self._known(card.name) or card
        learned = known.learned(context, reply)
        self._cards = [learned, *(other for other in self._cards or [] if other.name != card.name)]
        if card.learned(learned.context, learned.reply) == card:
            failure.passes = False  # it was made to fit, and is still refused
            return False
        return True

    async def _fit(self, card: ModelCard, messages: Messages, sampling: Sampling, scope: Scope) -> Fitted:
        """Return what is sent: the call itself where no limit is known, or *extra* sets one."""
        if self._has_own_limit:
            return Fitted(messages, sampling.max_tokens)
        if card.reply is not None:
            sampling = replace(sampling, max_tokens=min(card.reply, sampling.max_tokens))
        if card.context is None or not is_text(messages):
            return Fitted(messages, sampling.max_tokens)
        return await fit(messages, sampling, scope, card.context, self._counter(card, extra_of(sampling)))

    async def _card(self, model: str) -> ModelCard:
        """Return what is known of *model*; the first call asks the server."""
        if self._cards is None:
            await self._list()
        return self._known(model) or ModelCard(model)

    def _known(self, model: str) -> ModelCard | None:
        return next((card for card in self._cards or () if card.name == model), None)

    async def _list(self) -> None:
        """Ask for the list of models; a server without a usable one may answer calls all the same."""
        async with self._listing.get():  # a run starts with many calls at once: one asks for all of them
            if self._cards is not None:
                return
            try:
                await self.cards()
            except HttpFailure as failure:
                if failure.unreachable:
                    raise
                self._unlisted += 1
                if not failure.passes or self._unlisted >= LISTINGS:
                    self._cards = []

    def _counter(self, card: ModelCard, extra: Mapping[str, Any]) -> Callable[[Messages], Awaitable[int]]:
        """Return what counts a prompt's tokens: the server's own tokenizer, or an estimate if it has none.

        *extra* are the request fields of the call itself.
        """

        async def count(prompt: Messages) -> int:
            counted = await self._tokenizer.count(card.name, prompt, extra) if card.counts else None
            if counted is not None:
                return counted
            return math.ceil(MARGIN * estimated_tokens(prompt, tool_text(prompt, {**extra, **self._extra})))

        return count


def _has_system(messages: Messages) -> bool:
    return any(message["role"] == "system" for message in messages)


def _tokens(completions: Sequence[Completion]) -> float:
    """Return the work of a reply: the tokens written, or completions where the server counts none."""
    return sum(completion.usage.completion_tokens for completion in completions) or len(completions)
