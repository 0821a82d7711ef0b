"""One server behind one address."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from tpo.errors import ConfigError
from tpo.http.address import base_address
from tpo.http.failures import HttpFailure, Reply, Server, read_json
from tpo.http.patience import SILENCE, OnRetry, Patience, Timekeeper, persist
from tpo.perloop import PerLoop

if TYPE_CHECKING:  # aiohttp takes a fifth of a second to import: only a first request pays for it
    from tpo.http.exchange import Exchange

T = TypeVar("T")


def _silent(reason: str, wait: float) -> None:
    del reason, wait


class Endpoint:
    """A server that speaks JSON; usable from any event loop, one after the other or several at once.

    Args:
        url: as users write it.
        address: makes the address of it that paths are appended to; see :mod:`tpo.http.address`.
        api_key: sent as a bearer token; it stands in no error and no representation of this object.
        key_variable: the environment variable that errors tell a user to set.
        connections: most at a time; further requests wait for one.
        timeout: seconds of silence after which a request counts as lost.
        patience: how long failures that pass are tried again.
        timekeeper: the time that waits go by.

    Raises:
        ConfigError: the URL is none, or the key holds what no HTTP header may.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        address: Callable[[str], str] = base_address,
        key_variable: str = "TPO_API_KEY",
        connections: int = 1024,
        timeout: float = SILENCE,
        patience: Patience | None = None,
        timekeeper: Timekeeper | None = None,
    ) -> None:
        self.address = address(url)
        self._server = Server(self.address, _checked(api_key, key_variable), key_variable)
        self._patience = patience or Patience()
        self._timekeeper = timekeeper or Timekeeper()
        self._connections = connections
        self._timeout = timeout
        self._exchange: PerLoop[Exchange] = PerLoop(self._open)
        self._answered = False

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        read: Callable[[Any], T],
        on_retry: OnRetry = _silent,
        patience: Patience | None = None,
    ) -> T:
        """What *read* makes of the JSON that comes back; failures that pass are tried again.

        *read* may raise an :class:`HttpFailure` of its own, for JSON that is not what was asked for. A server
        that cannot be reached is waited for only if it has answered before.

        Raises:
            HttpFailure: no usable reply came.
        """

        async def attempt() -> T:
            return read(read_json(await self._send(method, path, body), self._server))

        return await persist(attempt, patience or self._patience, self._timekeeper, on_retry)

    async def aclose(self) -> None:
        """Close the connections of the running loop; the next request opens new ones."""
        exchange = self._exchange.pop()
        if exchange is not None:
            await exchange.aclose()

    async def _send(self, method: str, path: str, body: Any) -> Reply:
        try:
            reply = await self._exchange.get().send(method, path, body)
        except HttpFailure as failure:
            if failure.unreachable and not self._answered:
                raise HttpFailure(
                    f"{failure}; is it running, and is this its URL?", fatal=True, unreachable=True
                ) from failure
            raise
        self._answered = True
        return reply

    def _open(self) -> Exchange:
        from tpo.http.exchange import Exchange

        return Exchange(self._server, self._connections, self._timeout)


def _checked(key: str | None, variable: str) -> str | None:
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{variable} holds characters that no API key has: check how it was set")
    return key or None
