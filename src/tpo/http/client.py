"""Client for one HTTP server that speaks JSON."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tpo.errors import ConfigError
from tpo.http.adaptive_limit import AdaptiveLimit
from tpo.http.address import base_address, proxy_of
from tpo.http.failures import HttpFailure, HttpReply, Server, StreamedReply, read_json, status_failure
from tpo.http.retry import READ_TIMEOUT, Clock
from tpo.http.sse import EventReader
from tpo.per_loop import PerLoop

if TYPE_CHECKING:  # aiohttp takes a fifth of a second to import: only a first request pays for it
    from tpo.http.session import Session

T = TypeVar("T")

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 15.0
MOST = 1024
"""Requests in flight to one server at most, unless the caller says otherwise."""


class HttpClient:
    """Sends single requests to one server; usable from any event loop, one after another or several at once.

    No request is retried here (see :class:`tpo.http.balancer.Balancer`). All requests share one adaptive
    limit per event loop, and further ones wait.

    Args:
        url: as users write it.
        api_key: sent as a bearer token; it appears in no error and no representation of this object.
        address: makes of *url* the address that paths are appended to; see :mod:`tpo.http.address`.
        key_variable: the environment variable that errors name.
        most: maximum of requests in flight; the adaptive limit stays below it.
        timeout: read timeout in seconds; a whole reply may take no longer either.
        connect_timeout: connect timeout in seconds, TLS included.
        notice_after: seconds after which a first request without reply is logged.
        clock: what the adaptive limit measures with.
        on_limit: receives the address and the new limit when the adaptive limit changes.

    Raises:
        ConfigError: *url* is not a URL, or the key holds what no HTTP header may.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        address: Callable[[str], str] = base_address,
        key_variable: str = "TPO_API_KEY",
        most: int = MOST,
        timeout: float = READ_TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        notice_after: float = 2.0,
        clock: Clock | None = None,
        on_limit: Callable[[str, int], None] | None = None,
    ) -> None:
        self.address = address(url)
        self._root = self.address.removesuffix("/v1")
        key = _checked(api_key, key_variable)
        self._server = Server(self.address, key, key_variable, proxy_of(self.address))
        self._timeouts = timeout, connect_timeout
        self._notice_after: float | None = notice_after
        self._session: PerLoop[Session] = PerLoop(self._open)
        tell = None if on_limit is None else partial(on_limit, self.address)
        self._limit = PerLoop(lambda: AdaptiveLimit(most, clock or Clock(), tell))
        self._has_answered = False

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        read: Callable[[Any], T],
        work: Callable[[T], float] | None = None,
        root: bool = False,
        on_event: Callable[[Any], None] | None = None,
    ) -> T:
        """Return what *read* makes of the JSON reply; it may raise an :class:`HttpFailure` of its own.

        *work* tells how much a reply was worth, in the same unit for all requests to a server: the adaptive
        limit learns from replies that have it. With *root*, *path* is beside ``/v1`` and not below it. If the
        reply is a stream, *on_event* receives each event as it arrives.

        Raises:
            HttpFailure: no usable reply came. One that cannot be reached and has never replied is fatal.
        """
        url = (self._root if root else self.address) + path
        async with self._limit.get().slot() as slot:
            session = self._session.get()  # its first use imports aiohttp, which is not the server's silence
            notice = None if self._has_answered else self._notice_silence()
            try:
                async with session.send(method, url, body) as response:
                    chunks = response.content.iter_any()
                    whole = await (_streamed(chunks, on_event) if on_event else response.read())
                    reply = HttpReply(response.status, response.headers, whole)
            except session.errors as error:
                raise self._failed(session.failure(error)) from error
            finally:
                if notice is not None:
                    notice.cancel()
            self._has_answered = True
            value = read(read_json(reply, self._server))
            slot.work = 0.0 if work is None else work(value)
        return value

    @asynccontextmanager
    async def stream(self, path: str, body: Any) -> AsyncIterator[StreamedReply]:
        """Post *body*, beside the adaptive limit, and yield the reply while its body arrives.

        Raises:
            HttpFailure: no reply came, it broke off, or its status asks for another attempt or a key.
        """
        session = self._session.get()
        try:
            async with session.send("POST", self.address + path, body) as reply:
                if reply.status in (401, 402, 403, 404, 408, 429) or reply.status >= 500:
                    whole = HttpReply(reply.status, reply.headers, await reply.read())
                    raise status_failure(whole, self._server)
                self._has_answered = True
                yield StreamedReply(
                    reply.status, reply.headers, _translated(reply.content.iter_any(), session)
                )
        except session.errors as error:
            raise session.failure(error) from error

    async def get_text(self, path: str) -> str | None:
        """Return the body at *path* beside ``/v1``, which need not be JSON; None where there is none."""
        session = self._session.get()
        try:
            async with session.send("GET", self._root + path, None) as response:
                return await response.text(errors="replace") if response.status == 200 else None
        except session.errors:
            return None

    async def aclose(self) -> None:
        """Close the connections of the running loop; the next request opens new ones."""
        session = self._session.pop()
        if session is not None:
            await session.aclose()

    def _failed(self, failure: HttpFailure) -> HttpFailure:
        if failure.unreachable and not self._has_answered:
            reason = f"{failure}; is it running, and is this its URL?"
            return HttpFailure(reason, fatal=True, unreachable=True)
        return failure

    def _notice_silence(self) -> asyncio.TimerHandle | None:
        """Log, a moment from now and once, that the server has not answered yet."""
        delay, self._notice_after = self._notice_after, None
        if delay is None:
            return None
        sentence = "waiting for the server at %s: no reply after %g s (given up after %g s, --timeout)"
        seconds, _ = self._timeouts
        return asyncio.get_running_loop().call_later(
            delay, log.warning, sentence, self.address, delay, seconds
        )

    def _open(self) -> Session:
        from tpo.http.session import Session

        return Session(self._server, *self._timeouts)


async def _translated(chunks: AsyncIterator[bytes], session: Session) -> AsyncIterator[bytes]:
    """Yield *chunks*.

    Raises:
        HttpFailure: they break off.
    """
    try:
        async for chunk in chunks:
            yield chunk
    except session.errors as error:
        raise session.failure(error) from error


async def _streamed(chunks: AsyncIterator[bytes], on_event: Callable[[Any], None]) -> bytes:
    """Return the whole body; *on_event* receives its events meanwhile."""
    events, whole = EventReader(), []
    async for chunk in chunks:
        whole.append(chunk)
        for event in events.add(chunk):
            on_event(event)
    return b"".join(whole)


def _checked(key: str | None, variable: str) -> str | None:
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{variable} holds characters that no API key has: check how it was set")
    return key or None
