"""Any server that speaks OpenAI's chat completions: vLLM, SGLang, llama.cpp, Ollama, hosted APIs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from tpo.errors import PolicyError, PolicyRefused
from tpo.events import CallRetried, Listener
from tpo.http import Endpoint, HttpFailure, Patience, Timekeeper
from tpo.perloop import PerLoop
from tpo.policies.chat import checked_extra, read_completions, read_models, request_body
from tpo.policies.siblings import as_finished
from tpo.types import Completion, Messages, Sampling, Scope, user

log = logging.getLogger(__name__)

CHECK_PATIENCE = Patience(deadline=10.0)
"""A check before a run rides out a hiccup, and no more."""
NAMES_SHOWN = 20
_COMPLETIONS = "/chat/completions"


class OpenAIPolicy:
    """The model *model* of the server at *base_url*.

    One request asks for all samples of a call. Where a server takes no ``n``, or returns fewer choices than
    asked, the missing ones are asked for singly, sample *i* with the seed ``seed + i`` as ever. Failures that
    pass (429, 5xx, timeouts, cut replies) are tried again with growing waits, within a deadline.

    Args:
        base_url: ``http://host:8000`` or with ``/v1``; any other path is taken as it is.
        model: its name on the server; None takes the only one that the server lists.
        api_key: sent as a bearer token, shown nowhere.
        extra: fields added to each request, ``{"top_k": 20}``; None leaves out one that is sent otherwise.
        listener: hears a ``CallRetried`` before every further try.
        timeout: seconds of silence after which a request counts as lost.
        patience: how long failures that pass are tried again.
        timekeeper: the time that waits go by.

    Raises:
        ConfigError: the URL is none, or *extra* holds a field that is set here.
    """

    def __init__(
        self,
        base_url: str,
        model: str | None = None,
        api_key: str | None = None,
        *,
        extra: Mapping[str, Any] | None = None,
        listener: Listener | None = None,
        timeout: float = 1200.0,
        patience: Patience | None = None,
        timekeeper: Timekeeper | None = None,
    ) -> None:
        self._endpoint = Endpoint(
            base_url, api_key, timeout=timeout, patience=patience, timekeeper=timekeeper
        )
        self.base_url = self._endpoint.address
        self.model = model
        self._extra = checked_extra(extra or {})
        self._listener = listener
        self._naming = PerLoop(asyncio.Lock)
        self._singly = False

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield the choices of one request, then those that it left out, each as its own request ends."""
        missing = set(range(sampling.n))
        for completion in await self._together(messages, sampling, scope):
            missing.discard(completion.index)
            yield completion
        if missing and len(missing) == sampling.n - 1:
            self._singly = True  # it takes no n: the next call need not find that out again
        jobs = [self._single(messages, sampling, scope, index) for index in sorted(missing)]
        async for completion in as_finished(jobs):
            yield completion

    async def check(self) -> None:
        """Ask for a single token, so that what would stop a run is known before it starts.

        Raises:
            PolicyError: it would, and why: no server, no such model, a wrong key.
        """
        try:
            model = await self._model_name(CHECK_PATIENCE)
            body = request_body(model, (user("Hello"),), Sampling(max_tokens=1), self._extra)
            await self._endpoint.ask("POST", _COMPLETIONS, body, read=_anything, patience=CHECK_PATIENCE)
        except HttpFailure as failure:
            raise await self._error(failure) from failure

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        await self._endpoint.aclose()

    async def _together(self, messages: Messages, sampling: Sampling, scope: Scope) -> list[Completion]:
        """As many of a call's samples as one request brings; none where singles are due."""
        # Servers refuse several greedy samples, as copies; asked for singly, copies are what they give.
        if sampling.n > 1 and (self._singly or sampling.temperature == 0):
            return []
        try:
            return await self._request(messages, sampling, scope)
        except HttpFailure as failure:
            if sampling.n == 1 or failure.status not in (400, 422):
                raise await self._error(failure, scope) from failure
        # Perhaps n is what it refuses. If it is not, a single is told what is.
        return [await self._single(messages, sampling, scope, 0)]

    async def _single(self, messages: Messages, sampling: Sampling, scope: Scope, index: int) -> Completion:
        scope = replace(scope, index=index)
        try:
            completions = await self._request(messages, sampling.only(index), scope)
        except HttpFailure as failure:
            raise await self._error(failure, scope) from failure
        return replace(completions[0], index=index)

    async def _request(self, messages: Messages, sampling: Sampling, scope: Scope) -> list[Completion]:
        body = request_body(await self._model_name(), messages, sampling, self._extra)
        return await self._endpoint.ask(
            "POST",
            _COMPLETIONS,
            body,
            read=lambda reply: read_completions(reply, sampling.n),
            on_retry=lambda reason, wait: self._announce(CallRetried(scope, reason, wait)),
        )

    async def _model_name(self, patience: Patience | None = None) -> str:
        """The model's name; the first call of all asks the server if none was given."""
        async with self._naming.get():
            if self.model is None:
                self.model = self._only(await self._models(patience))
            return self.model

    async def _models(self, patience: Patience | None = None) -> list[str]:
        return await self._endpoint.ask("GET", "/models", read=read_models, patience=patience)

    def _only(self, names: list[str]) -> str:
        if len(names) != 1:
            serves = f"serves {_listed(names)}" if names else "lists no model"
            raise PolicyRefused(f"the server at {self.base_url} {serves}: name one with --model")
        return names[0]

    async def _error(self, failure: HttpFailure, scope: Scope | None = None) -> PolicyError:
        """*failure* as this package's own, with the query it befell, or the models there are instead."""
        if failure.status == 404:
            return PolicyRefused(await self._not_found(failure))
        if failure.fatal:
            return PolicyRefused(str(failure))
        return PolicyError(f"{_place(scope)}{failure}" if scope else str(failure))

    async def _not_found(self, failure: HttpFailure) -> str:
        """Why a path or model is unknown: the list of models tells which of both."""
        try:
            names = await self._models(CHECK_PATIENCE)
        except HttpFailure:
            return f"{failure}; is that the base URL of an OpenAI-compatible server?"
        if self.model is None or self.model in names:
            return str(failure)
        return f"the server at {self.base_url} has no model {self.model!r}; it serves {_listed(names)}"

    def _announce(self, event: CallRetried) -> None:
        if self._listener is None:
            return
        try:
            self._listener(event)
        except Exception:  # whatever a listener does, the call goes on
            log.exception("a listener failed on %s", type(event).__name__)


def _place(scope: Scope) -> str:
    sample = "" if scope.index is None else f", sample {scope.index}"
    return f"query {scope.query!r}, {scope.phase} of step {scope.step}{sample}: "


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name)[:100] for name in names[:NAMES_SHOWN])
    return shown + (f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else "") or "none"


def _anything(reply: object) -> object:
    return reply
