"""Servers for tests, on the loopback: from a thread and a loop of their own, or from the test's own loop.

with SomeServer() as server:
    ... server.url
async with SomeServer().up() as url:
    ...
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import ClassVar, Self

from aiohttp import web


class LoopbackServer:
    """Serves what a subclass's :meth:`application` says while its block lasts."""

    url: str
    """Its base URL, which ends with ``path``."""
    path: ClassVar[str] = "/v1"
    wanted_port = 0
    """Where to listen; 0 takes a free port."""

    def application(self) -> web.Application:
        """What is served; made in the loop that serves it."""
        raise NotImplementedError

    @property
    def root(self) -> str:
        """The URL without its path."""
        return self.url.removesuffix(self.path)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.root.rpartition(":")[2])

    async def start(self) -> str:
        """Serve from the running loop; the URL."""
        self._runner = web.AppRunner(self.application(), shutdown_timeout=0.05)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.wanted_port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}{self.path}"
        return self.url

    async def stop(self) -> None:
        """Close every connection."""
        await self._runner.cleanup()

    async def _end(self) -> None:
        """Stop, and cancel what still answers clients that have left."""
        await self.stop()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    @asynccontextmanager
    async def up(self, port: int = 0) -> AsyncIterator[str]:
        """Its URL, served from the running loop at *port* while the block lasts."""
        self.wanted_port = port
        url = await self.start()
        try:
            yield url
        finally:
            await self.stop()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=type(self).__name__, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.start(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
