"""Any server that speaks OpenAI's chat completions: vLLM, SGLang, llama.cpp, Ollama, hosted APIs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tpo.errors import PolicyError, PolicyRefused
from tpo.events import Listener
from tpo.http import HttpFailure, Patience, Timekeeper
from tpo.http.announcing import announcing
from tpo.http.patience import SILENCE, persist
from tpo.http.spread import Spread, close_all
from tpo.perloop import PerLoop
from tpo.policies.chat import are_copies, checked_extra
from tpo.policies.server import Access, ChatServer
from tpo.policies.siblings import as_finished
from tpo.types import Completion, Messages, Sampling, Scope, user

log = logging.getLogger(__name__)

CHECK_PATIENCE = Patience(deadline=10.0)
"""A check before a run rides out a hiccup, and no more."""
NAMES_SHOWN = 20
MOST = 1024
"""Requests at a time to one server, where nobody says otherwise."""


class OpenAIPolicy:
    """The model *model* of the servers at *urls*.

    One request asks for all samples of a call. Where a server takes no ``n``, or returns fewer choices than
    asked, the missing ones are asked for singly, sample *i* with the seed ``seed + i`` as ever. Failures that
    pass (429, 5xx, timeouts, cut replies) are tried again, at another server if there is one, with growing
    waits, within a deadline. Choices that are all the same text are drawn again singly, since some servers
    give each of them the same seed, until a server has once given different ones. A query stays with one
    server as long as that one is well, since its prompts continue each other and are in that server's cache;
    see :class:`tpo.http.spread.Spread`. Each completion tells which server wrote it.

    Args:
        urls: one or several, ``http://host:8000`` or with ``/v1``; any other path is taken as it is.
        model: its name on the servers; None takes the only one that they list.
        api_key: sent as a bearer token, shown nowhere.
        extra: fields added to each request, ``{"top_k": 20}``; None leaves out one that is sent otherwise.
        listener: hears a ``CallRetried`` before every further try.
        timeout: seconds of silence after which a request counts as lost.
        most: requests at a time to each server; how many it is really given is learned from how it does.
        patience: how long failures that pass are tried again.
        timekeeper: the time that waits go by.

    Raises:
        ConfigError: a URL is none or is given twice, or *extra* holds a field that is set here.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        model: str | None = None,
        api_key: str | None = None,
        *,
        extra: Mapping[str, Any] | None = None,
        listener: Listener | None = None,
        timeout: float = SILENCE,
        most: int = MOST,
        patience: Patience | None = None,
        timekeeper: Timekeeper | None = None,
    ) -> None:
        self._timekeeper = timekeeper or Timekeeper()
        access = Access(api_key, timeout, most, self._timekeeper)
        extra = checked_extra(extra or {})
        addresses = [urls] if isinstance(urls, str) else list(urls)
        servers = [ChatServer(url, access, extra) for url in addresses]
        self._spread = Spread(
            [(server.address, server) for server in servers], patience=patience, timekeeper=self._timekeeper
        )
        self.model = model
        self._listener = listener
        self._naming = PerLoop(asyncio.Lock)
        self._singly = False
        self._various: set[str | None] = set()

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers' base URLs."""
        return tuple(self._spread.members)

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield the choices of one request, then those that it left out, each as its own request ends."""
        found = await self._together(messages, sampling, scope)
        copies = self._suspects(found)
        found = found[:1] if copies else found
        missing = set(range(sampling.n)) - {completion.index for completion in found}
        if missing and len(missing) == sampling.n - 1 and not copies:
            self._singly = True  # it takes no n: the next call need not find that out again
        for completion in found:
            yield completion
        if not missing:
            return
        jobs = [self._single(messages, sampling, scope, index) for index in sorted(missing)]
        async for completion in as_finished(jobs):
            if copies and completion.text != found[0].text:
                self._singly = True  # it draws all of a request's choices with the same seed
            yield completion

    async def check(self) -> None:
        """Ask each server for a single token, so that what would stop a run is known before it starts.

        Of several, those that do not answer are left out for now, and named in the log.

        Raises:
            PolicyError: it would, and why: no server, no such model, a wrong key.
        """
        failures = await asyncio.gather(*(self._checked(server) for server in self._spread.members.values()))
        down = [failure for failure in failures if failure is not None]
        for failure in down:
            gone = failure.unreachable or failure.passes
            if not gone or len(down) == len(failures):
                raise await self._error(failure) from failure
            log.warning("%s; the run starts without it", failure)

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        await close_all([server.aclose for server in self._spread.members.values()])

    async def _checked(self, server: ChatServer) -> HttpFailure | None:
        """Why *server* does not answer, if so."""

        async def attempt() -> None:
            model = await self._model_name(server)
            await server.complete(model, (user("Hello"),), Sampling(max_tokens=1), Scope("", 0, "sample"))

        try:
            await persist(attempt, CHECK_PATIENCE, self._timekeeper, _silent)
        except HttpFailure as failure:
            return failure
        return None

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

    def _suspects(self, found: list[Completion]) -> bool:
        """Whether *found* are copies, of a server that has not yet given different samples to one request."""
        if len(found) < 2 or (server := _writer(found[0])) in self._various:
            return False
        if len({completion.text for completion in found}) > 1:
            self._various.add(server)
        return are_copies(found)

    async def _single(self, messages: Messages, sampling: Sampling, scope: Scope, index: int) -> Completion:
        scope = replace(scope, index=index)
        try:
            completions = await self._request(messages, sampling.only(index), scope)
        except HttpFailure as failure:
            raise await self._error(failure, scope) from failure
        return replace(completions[0], index=index)

    async def _request(self, messages: Messages, sampling: Sampling, scope: Scope) -> list[Completion]:
        async def attempt(server: ChatServer) -> list[Completion]:
            return await server.complete(await self._model_name(server), messages, sampling, scope)

        return await self._spread.ask(scope.query, attempt, announcing(self._listener, scope))

    async def _model_name(self, server: ChatServer) -> str:
        """The model's name; the first call of all asks *server* if none was given."""
        if self.model is None:
            async with self._naming.get():
                if self.model is None:
                    self.model = _only(await server.names(), server.address)
        return self.model

    async def _error(self, failure: HttpFailure, scope: Scope | None = None) -> PolicyError:
        """*failure* as this package's own, with the query it befell, or the models there are instead."""
        if failure.status == 404:
            return PolicyRefused(await self._not_found(failure))
        if failure.fatal:
            return PolicyRefused(str(failure))
        return PolicyError(f"{_place(scope)}{failure}" if scope else str(failure))

    async def _not_found(self, failure: HttpFailure) -> str:
        """Why a path or model is unknown: the lists of models tell which of both, and where."""
        lists = False
        for server in self._spread.members.values():
            try:
                names = [card.name for card in await server.cards()]
            except HttpFailure:
                continue
            lists = True
            if self.model is not None and self.model not in names:
                return (
                    f"the server at {server.address} has no model {self.model!r}; it serves {_listed(names)}"
                )
        return str(failure) if lists else f"{failure}; is that the base URL of an OpenAI-compatible server?"


def _writer(completion: Completion) -> str | None:
    return completion.served.by if completion.served else None


def _place(scope: Scope) -> str:
    sample = "" if scope.index is None else f", sample {scope.index}"
    return f"query {scope.query!r}, {scope.phase} of step {scope.step}{sample}: "


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name)[:100] for name in names[:NAMES_SHOWN])
    return shown + (f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else "") or "none"


def _silent(reason: str, wait: float) -> None:
    del reason, wait


def _only(names: list[str], address: str) -> str:
    if len(names) != 1:
        serves = f"serves {_listed(names)}" if names else "lists no model"
        raise HttpFailure(f"the server at {address} {serves}: name one with --model", fatal=True)
    return names[0]
