"""Any server that speaks OpenAI's chat completions: vLLM, SGLang, llama.cpp, Ollama, hosted APIs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from tpo.errors import PolicyError, PolicyRefused, PromptTooLong
from tpo.events import LimitChanged, Listener
from tpo.http import Balancer, Clock, HttpClient, HttpFailure, RetryPolicy
from tpo.http.balancer import close_all, ignore
from tpo.http.chat import are_copies, checked_extra, read_pieces
from tpo.http.client import MOST
from tpo.http.model_cards import chosen_card, listed
from tpo.http.refusals import refused_sampling_field, told_context
from tpo.http.retry import READ_TIMEOUT, OnRetry, announce, announce_to
from tpo.per_loop import PerLoop
from tpo.policies.chat_server import ChatServer, OnEvent
from tpo.policies.context import ExceedsContext
from tpo.policies.deltas import Deltas, with_deltas
from tpo.policies.siblings import as_finished
from tpo.types import Completion, Delta, ExtendedSampling, Messages, Sampling, Scope, user

log = logging.getLogger(__name__)

CHECK_RETRY = RetryPolicy(timeout=10.0)
"""For the check before a run: a hiccup is retried, and no more."""
FALLBACKS = 3
"""Failures in a row of several choices, each followed by a single one, that are no coincidence."""
PROBE = Sampling(max_tokens=16)
"""The check's request where nothing is known of the run; some servers write no fewer tokens."""


class OpenAIPolicy:
    """The model *model* of the servers at *urls*.

    One request asks for all samples of a call. Where a server takes no ``n``, or returns fewer choices than
    asked, the missing ones are asked for singly, sample *i* with the seed ``seed + i`` as ever. Failures that
    pass (429, 5xx, timeouts, cut replies) are tried again, at another server if there is one, with growing
    waits, within a deadline. Choices that are all the same text are drawn again singly, since some servers
    give each of them the same seed, until a server has once given different ones. A query stays with one
    server as long as that one is well, since its prompts continue each other and are in that server's cache;
    see ``tpo.http.balancer.Balancer``. Each completion tells which server wrote it.

    Args:
        urls: one or several, ``http://host:8000`` or with ``/v1``; any other path is taken as it is.
        model: its name on the servers; None takes the only one that they list.
        api_key: sent as a bearer token, shown nowhere.
        extra: fields added to each request, ``{"top_k": 20}``; None leaves out one that is sent otherwise.
        listener: receives a ``CallRetried`` before every retry, and a ``LimitChanged``.
        sampling: the run's sampling values, which the check uses: some servers take temperature 1 alone.
        timeout: read timeout in seconds.
        most: maximum of requests in flight to each server; an adaptive limit stays below it.
        retry: how long failures that pass are retried.
        clock: the time that waits go by.

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
        sampling: Sampling | None = None,
        timeout: float = READ_TIMEOUT,
        most: int = MOST,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or Clock()
        extra = checked_extra(extra or {})
        access: dict[str, Any] = {"most": most, "timeout": timeout, "clock": self._clock}
        access["on_limit"] = lambda server, limit: announce(listener, LimitChanged(server, limit))
        servers = [
            ChatServer(HttpClient(url, api_key, **access), extra)
            for url in ([urls] if isinstance(urls, str) else urls)
        ]
        self._balancer = Balancer(
            [(server.address, server) for server in servers], retry=retry, clock=self._clock
        )
        self.model = model
        probe = sampling or PROBE
        self._probe = replace(probe, n=1, max_tokens=min(PROBE.max_tokens, probe.max_tokens))
        self._listener = listener
        self._naming = PerLoop(asyncio.Lock)
        self._singly = False
        self._various: set[str | None] = set()

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers' base URLs."""
        return tuple(self._balancer.members)

    def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield the choices of one request, then those that it left out, each as its own request ends."""
        return self._samples(messages, sampling, scope)

    def stream(
        self, messages: Messages, sampling: Sampling, scope: Scope
    ) -> AsyncIterator[Completion | Delta]:
        """Do the same with streamed replies, and yield their pieces as they arrive."""
        return with_deltas(partial(self._samples, messages, sampling, scope))

    async def _samples(
        self, messages: Messages, sampling: Sampling, scope: Scope, deltas: Deltas | None = None
    ) -> AsyncIterator[Completion]:
        found: list[Completion] = []
        # Servers refuse several greedy samples, as copies; asked for singly, copies are what they give.
        if sampling.n == 1 or not (self._singly or sampling.temperature == 0):
            try:
                found = await self._request(messages, sampling, scope, None, deltas)
            except PolicyError as error:
                if sampling.n == 1 or not _is_refusal(error):
                    raise
                # Perhaps n is what it refuses. If it is not, a single is told what is.
                found = await self._request(messages, sampling, scope, 0, deltas)
        copies = self._suspects(found)
        found = found[:1] if copies else found
        missing = set(range(sampling.n)) - {completion.index for completion in found}
        if missing and len(missing) == sampling.n - 1 and not copies:
            # It takes no n: the next call need not find that out again.
            self._singly = self._singly or _takes_no_n(self._balancer.members.values())
        for completion in found:
            yield completion
        if not missing:
            return
        jobs = [self._request(messages, sampling, scope, index, deltas) for index in sorted(missing)]
        async for completion, *_ in as_finished(jobs):
            if copies and completion.text != found[0].text:
                self._singly = True  # it draws all of a request's choices with the same seed
            yield completion

    async def check(self) -> None:
        """Ask each server for a few tokens, as the run will, so that its errors are known before it starts.

        Of several, those that do not answer are left out for now, and named in the log.

        Raises:
            PolicyError: it would, and why: no server, no such model, a wrong key.
        """
        failures = await asyncio.gather(
            *(self._checked(server) for server in self._balancer.members.values())
        )
        down = [failure for failure in failures if failure is not None]
        for failure in down:
            gone = failure.unreachable or failure.passes
            if not gone or len(down) == len(failures):
                raise await self._error(failure) from failure
            log.warning("%s; the run starts without it", failure)

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        await close_all([server.client.aclose for server in self._balancer.members.values()])

    async def _checked(self, server: ChatServer) -> HttpFailure | None:
        """Return why *server* does not answer, if so."""
        scope = Scope("", 0, "sample")
        alone = Balancer([(server.address, server)], retry=CHECK_RETRY, clock=self._clock)
        try:
            model = self.model or await self._named_by(alone)
            await alone.ask("", lambda it: it.complete(model, (user("Hello"),), self._probe, scope))
        except HttpFailure as failure:
            return failure
        return None

    def _suspects(self, found: list[Completion]) -> bool:
        """Return whether *found* are copies, of a server that never gave one request different samples."""
        if len(found) < 2 or (server := _writer(found[0])) in self._various:
            return False
        if len({completion.text for completion in found}) > 1:
            self._various.add(server)
        return are_copies(found)

    async def _request(
        self,
        messages: Messages,
        sampling: Sampling,
        scope: Scope,
        index: int | None,
        deltas: Deltas | None,
    ) -> list[Completion]:
        """Return what one request brings of a call, or its sample *index* alone."""
        indices = range(sampling.n) if index is None else range(index, index + 1)
        begin = None if deltas is None else partial(_begin_stream, deltas, indices)
        if index is not None:
            sampling, scope = sampling.only(index), replace(scope, index=index)
        try:
            on_retry = announce_to(self._listener, scope)
            route = sampling.route if isinstance(sampling, ExtendedSampling) else None
            key = route or scope.query
            model = self.model or await self._named_by(self._balancer, key, on_retry)
            found = await self._balancer.ask(
                key,
                lambda server: server.complete(model, messages, sampling, scope, begin),
                on_retry,
                spreads=route is not None,
            )
        except HttpFailure as failure:
            raise await self._error(failure, scope) from failure
        return found if index is None else [replace(found[0], index=index)]

    async def _named_by(
        self, balancer: Balancer[ChatServer], key: str = "", on_retry: OnRetry = ignore
    ) -> str:
        """Return the name of the only model there is; the first call of all asks for it."""
        async with self._naming.get():
            if self.model is None:
                self.model = await balancer.ask(key, _only_model, on_retry, is_proof=False)
        return self.model

    async def _error(self, failure: HttpFailure, scope: Scope | None = None) -> PolicyError:
        """*failure* as this package's own, with the query it befell, or the models there are instead."""
        if failure.status == 404 and failure.fatal:
            return PolicyRefused(await self._not_found(failure))
        if failure.fatal:
            return PolicyRefused(str(failure))
        field = refused_sampling_field(failure)
        if field is not None:  # every call of this kind has the same value
            return PolicyRefused(
                f"{str(failure).rstrip('.')}; leave the field out with --policy-extra '{{\"{field}\": null}}'"
            )
        is_too_long = isinstance(failure, ExceedsContext) or told_context(failure) is not None
        kind = PromptTooLong if is_too_long else PolicyError
        return kind(f"{_place(scope)}{failure}" if scope else str(failure))

    async def _not_found(self, failure: HttpFailure) -> str:
        """Return why a path or model is unknown: the lists of models tell which of both, and where."""
        lists = False
        for server in self._balancer.members.values():
            try:
                names = [card.name for card in await server.cards()]
            except HttpFailure:
                continue
            lists = True
            if self.model is not None and self.model not in names:
                return (
                    f"the server at {server.address} has no model {self.model!r}; it serves {listed(names)}"
                )
        return str(failure) if lists else f"{failure}; is that the base URL of an OpenAI-compatible server?"


def _begin_stream(deltas: Deltas, indices: range) -> OnEvent:
    """Return what announces the pieces of a new request for the samples *indices*."""
    deltas.restart(indices)

    def on_event(event: Any) -> None:
        for place, text, reasoning in read_pieces(event):
            if 0 <= place < len(indices):
                deltas.add(indices[place], reasoning, is_reasoning=True)
                deltas.add(indices[place], text)

    return on_event


def _takes_no_n(servers: Collection[ChatServer]) -> bool:
    """Return whether single choices tell that no server gives several, and not that one failed for once."""
    several = any(server.gave_several for server in servers)
    return not several and max(server.fallbacks for server in servers) not in range(1, FALLBACKS)


def _writer(completion: Completion) -> str | None:
    return completion.served.by if completion.served else None


def _place(scope: Scope) -> str:
    sample = "" if scope.index is None else f", sample {scope.index}"
    return f"query {scope.query!r}, {scope.phase} of step {scope.step}{sample}: "


def _is_refusal(error: PolicyError) -> bool:
    return isinstance(error.__cause__, HttpFailure) and error.__cause__.status in (400, 422)


async def _only_model(server: ChatServer) -> str:
    return chosen_card(await server.cards(), None, server.address, advice="name one with --model").name
