"""Run the server on its port until cancelled."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from aiohttp import web

from tpo.errors import ConfigError
from tpo.report.prices import Prices
from tpo.view.catalog import Catalog
from tpo.view.server import Server

HOST = "127.0.0.1"
"""Loopback only. Remote users need a tunnel with its own authentication."""

GRACE = 1.0
"""Shutdown timeout of open connections in seconds."""


async def serve(
    root: Path,
    *,
    port: int = 0,
    token: str = "",
    prices: Prices | None = None,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve the run in *root*, or the runs beneath it, until cancelled.

    Args:
        root: a directory.
        port: port on 127.0.0.1; 0 chooses a free one.
        token: what a browser must bring; empty: nothing.
        prices: token prices; None shows no cost.
        ready: called with the page's address when the server accepts requests.

    Raises:
        StoreError: there is no such directory.
        ConfigError: the port cannot be used.
    """
    app = Server(Catalog(root, prices), token=token).app()
    runner = web.AppRunner(app, shutdown_timeout=GRACE, access_log=None)
    await runner.setup()
    try:
        await _listen(runner, port)
        query = f"?{urlencode({'token': token})}" if token else ""
        ready(f"http://{HOST}:{runner.addresses[0][1]}/{query}")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        free = "give another --port, or none to take one that is free"
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"port {port} on {HOST} is in use; {free}") from error
        raise ConfigError(f"cannot listen on port {port} of {HOST}: {error.strerror}; {free}") from error
