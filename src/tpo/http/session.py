"""Single requests with aiohttp; no other module imports it.

aiohttp and not httpx: at 1,000 calls in flight it takes 0.4 ms of CPU a call here, httpx 29
(``benchmarks/http_client.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import weakref
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import aiohttp
from pydantic_core import to_json

from tpo.http.address import proxy_with_password
from tpo.http.failures import HttpFailure, Server

REUSE_SECONDS = 4.0
"""Less than the 5 s after which uvicorn, and so vLLM, drops an idle connection under the next request."""
LONGEST_HEADER = 65_536
"""Bytes of a reply's header; gateways put traces and policies there."""
KEEPALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 35_000}
"""Seconds, the last one milliseconds: a peer that vanished is noticed within 35 s, its ACKs sent or not."""


class Session:
    """The connections of one event loop to *server*, open until :meth:`aclose` or the loop's end."""

    def __init__(self, server: Server, timeout: float, connect_timeout: float) -> None:
        self._server = server
        # Not by trust_env: that would also send the logins of ~/.netrc, or refuse them beside a key.
        self._proxy = proxy_with_password(server.address)
        self._timeout = aiohttp.ClientTimeout(
            total=connect_timeout + timeout, connect=connect_timeout, sock_read=timeout
        )
        self._session = aiohttp.ClientSession(
            # No limit of connections: the adaptive limit bounds them.
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=REUSE_SECONDS, socket_factory=_open_socket
            ),
            timeout=self._timeout,
            headers=_headers(server),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
        )
        # asyncio.run closes the generators that are left before it closes its loop, and a loop closes those
        # that are garbage: so the session ends in time even where nobody calls aclose. A task would do the
        # first alone, and say that it was destroyed if neither happens.
        self._keeper = _closing_at_the_end(self._session)
        with contextlib.suppress(StopIteration):
            self._keeper.__anext__().send(None)
        weakref.finalize(self, _release, self._session, asyncio.get_running_loop())

    errors = (aiohttp.ClientError, TimeoutError, OSError)
    """Exceptions of a request without a complete reply; see :meth:`failure`."""

    def send(self, method: str, url: str, body: Any) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a request; the block has the reply, whatever its status, and may read it."""
        data = None if body is None else _written(body)
        # Not followed: a redirected POST becomes a GET, and the key would go to whoever it names.
        return self._session.request(method, url, data=data, allow_redirects=False, proxy=self._proxy)

    def failure(self, error: Exception) -> HttpFailure:
        """Return what *error* means to a caller."""
        return _failure(error, self._server, self._timeout)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._keeper.aclose()


def _release(session: aiohttp.ClientSession, loop: asyncio.AbstractEventLoop) -> None:
    """Have *session* not complain of a loop that ended without closing its generators."""
    connector = session.connector
    if loop.is_closed() and connector is not None:
        session.detach()
        for _ in connector.close().__await__():
            pass  # nothing is waited for: there is no loop


async def _closing_at_the_end(session: aiohttp.ClientSession) -> AsyncGenerator[None]:
    """Close *session* when this generator is closed."""
    try:
        yield
    finally:
        await session.close()


def _open_socket(address: tuple[Any, ...]) -> socket.socket:
    """Return a socket for *address* (as of ``getaddrinfo``) with TCP keepalive, where the system has it."""
    family, kind, protocol, *_ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        if hasattr(socket, option):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return opened


def _written(body: Any) -> bytes:
    try:
        return to_json(body)
    except ValueError:  # a lone surrogate, which only an escape can bring over
        return json.dumps(body).encode()


def _headers(server: Server) -> dict[str, str]:
    try:
        agent = f"tpo/{version('tpo')}"
    except PackageNotFoundError:  # run from its sources
        agent = "tpo"
    headers = {"User-Agent": agent, "Content-Type": "application/json"}
    return headers if server.key is None else headers | {"Authorization": f"Bearer {server.key}"}


def _failure(error: Exception, server: Server, timeout: aiohttp.ClientTimeout) -> HttpFailure:
    """Return what *error* means to a caller."""
    at = server.address
    if isinstance(error, aiohttp.ClientSSLError):
        reason = f"no safe connection to {at}: {server.quote(str(error))}"
        return HttpFailure(reason, fatal=True, ambiguous=True)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        reason = f"the proxy {server.proxy} before {at} does not answer: {_cause(error)}"
        return HttpFailure(f"{reason} (NO_PROXY leaves a host out)", passes=True, unreachable=True)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        said = server.quote(f"{error.status} {error.message}")
        reason = f"the proxy {server.proxy} refused a connection to {at}: {said}"
        passes = error.status == 429 or error.status >= 500
        return HttpFailure(reason, passes=passes, fatal=not passes, ambiguous=True, unreachable=passes)
    if isinstance(error, aiohttp.ClientConnectorError):
        return HttpFailure(f"no server answers at {at}: {_cause(error)}", passes=True, unreachable=True)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        reason = f"no server answers at {at}: no connection within {timeout.connect:g} s"
        return HttpFailure(reason, passes=True, unreachable=True)
    if isinstance(error, aiohttp.SocketTimeoutError):
        reason = f"the server at {at} kept silent for {timeout.sock_read:g} s (--timeout waits longer)"
        return HttpFailure(reason, passes=True)
    if isinstance(error, TimeoutError):
        reason = f"the reply of the server at {at} was incomplete after {timeout.total:g} s"
        return HttpFailure(f"{reason} (--timeout waits longer)", passes=True)
    if isinstance(error, aiohttp.ClientPayloadError):
        return HttpFailure(f"the reply of the server at {at} broke off", passes=True, broken=True)
    if isinstance(error, aiohttp.InvalidURL):
        return HttpFailure(f"{at} is no usable URL", fatal=True)
    what = server.quote(str(error)) or type(error).__name__
    return HttpFailure(f"the connection to {at} broke: {what}", passes=True, broken=True)


def _cause(error: aiohttp.ClientConnectorError) -> str:
    number = error.os_error.errno
    return os.strerror(number) if number is not None and number > 0 else str(error.os_error)
