"""The server on its port, for as long as it is wanted."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from tpo.errors import ConfigError
from tpo.report.prices import Prices
from tpo.view.server import Server
from tpo.view.shelf import Shelf

HOST = "127.0.0.1"
"""This machine alone. Whoever is elsewhere comes through a tunnel that asks who they are."""

GRACE = 1.0
"""Seconds that open connections have to end."""


async def serve(
    root: Path, *, port: int = 0, prices: Prices | None = None, ready: Callable[[str], None] = print
) -> None:
    """Serve the run in *root*, or the runs beneath it, until cancelled.

    Args:
        root: a directory.
        port: on 127.0.0.1; 0 takes one that is free.
        prices: of tokens; None: no cost is told.
        ready: called with the page's address once it answers.

    Raises:
        StoreError: there is no such directory.
        ConfigError: the port cannot be had.
    """
    runner = web.AppRunner(Server(Shelf(root, prices)).app(), shutdown_timeout=GRACE, access_log=None)
    await runner.setup()
    try:
        await _listen(runner, port)
        ready(f"http://{HOST}:{runner.addresses[0][1]}/")
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
