"""What the page asks for: itself, the overview, the table by the piece, a trajectory, figures, changes.

Runs are named by their numbers and queries by their rows; no name of a file is ever taken from a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiohttp import web

from tpo.report import page
from tpo.report.curves import Measured
from tpo.store.jsonline import to_line
from tpo.view.changes import Changes
from tpo.view.drawings import TOGETHER, Drawings, Numbers
from tpo.view.guard import guard, harden
from tpo.view.shelf import Shelf
from tpo.view.watched import Gone, Watched

INTERVAL = 0.5
"""Seconds between two looks at the files."""

PULSE = 5.0
"""Seconds after which a page hears that the server is there, though nothing has changed."""

LISTENERS = 64
"""Pages that may follow at a time."""

T = TypeVar("T")
Pause = Callable[[float], Awaitable[object]]


class Server:
    """The answers of a server over *shelf*; *pause* waits so many seconds.

    The shelf is read and asked in one thread of its own, a piece at a time, so that neither waits long.
    """

    def __init__(self, shelf: Shelf, *, pause: Pause = asyncio.sleep) -> None:
        self.changes = Changes()
        self._shelf = shelf
        self._pause = pause
        self._session = secrets.token_hex(8)
        self._drawings = Drawings(self._snapshot)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="tpo-view")
        self._page, self._policy = _page()

    def app(self, *, follow: bool = True) -> web.Application:
        """The application; unless it shall *follow* the files by itself, :meth:`look` is called by others."""
        app = web.Application(middlewares=[guard])
        app.on_response_prepare.append(harden)
        app.router.add_get("/", self._front)
        app.router.add_get("/data/summary", self._summary)
        app.router.add_get("/data/figures", self._figures)
        app.router.add_get(r"/data/runs/{run:\d{1,6}}/rows", self._rows)
        app.router.add_get(r"/data/runs/{run:\d{1,6}}/queries/{row:\d{1,12}}", self._trajectory)
        app.router.add_get("/data/changes", self._stream)
        if follow:
            app.cleanup_ctx.append(self._following)
        app.on_shutdown.append(self._shut)
        app.on_cleanup.append(self._clean)
        return app

    async def look(self) -> bool:
        """Read what is new and tell the pages; whether there is more to read at once."""
        changed, more = await self._read(self._shelf.look)
        if changed:
            self.changes.tell()
        return more

    async def _following(self, _app: web.Application) -> AsyncIterator[None]:
        async def follow() -> None:
            while True:
                more = await self.look()
                await self._pause(0.0 if more else INTERVAL)

        following = asyncio.create_task(follow())
        yield
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following

    async def _front(self, _request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": self._policy}
        return web.Response(body=self._page, content_type="text/html", charset="utf-8", headers=headers)

    async def _summary(self, _request: web.Request) -> web.Response:
        version = self.changes.version
        told = await self._read(self._shelf.summary)
        return _json(told | {"session": self._session, "change": version})

    async def _figures(self, request: web.Request) -> web.Response:
        numbers = tuple(sorted({_number(text) for text in request.query.get("runs", "").split(",") if text}))
        if len(numbers) > TOGETHER or (numbers and numbers[-1] >= len(self._shelf.runs)):
            raise web.HTTPNotFound(text="There are no such runs.\n")
        return _json(await self._drawings.of(numbers))

    async def _rows(self, request: web.Request) -> web.Response:
        run = self._run(request)
        generation, start, changes = (
            _number(request.query.get(n, "0")) for n in ("generation", "from", "changes")
        )
        return _json(await self._read(lambda: run.rows(generation, start, changes)))

    async def _trajectory(self, request: web.Request) -> web.Response:
        run, row = self._run(request), int(request.match_info["row"])
        generation = _number(request.query.get("generation", "0"))
        try:
            return _json(await self._read(lambda: run.trajectory(generation, row)))
        except Gone as gone:
            raise web.HTTPNotFound(text=f"{gone}\n") from gone

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: one at once, then one whenever something has changed, or PULSE has passed."""
        if len(self.changes) >= LISTENERS:
            raise web.HTTPServiceUnavailable(text="Too many pages follow these runs.\n")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        with self.changes.listening() as listener, contextlib.suppress(ConnectionError):
            await response.prepare(request)
            while not self.changes.closed:
                told = f'{{"session":"{self._session}","change":{self.changes.version}}}'
                await response.write(f"data: {told}\n\n".encode())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(listener.wait(), PULSE)
                listener.clear()
        return response

    async def _snapshot(self, numbers: Numbers) -> tuple[object, list[Measured]]:
        def taken() -> tuple[object, list[Measured]]:
            runs = [self._shelf.runs[number].measured() for number in numbers]
            marks = [(self._shelf.runs[n].generation, len(self._shelf.runs[n].collected)) for n in numbers]
            return marks, runs

        return await self._read(taken)

    async def _read(self, what: Callable[[], T]) -> T:
        """What *what* returns, called in the thread that has the shelf."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, what)

    def _run(self, request: web.Request) -> Watched:
        number = int(request.match_info["run"])
        if number >= len(self._shelf.runs):
            raise web.HTTPNotFound(text="There is no such run.\n")
        return self._shelf.runs[number]

    async def _shut(self, _app: web.Application) -> None:
        self.changes.close()

    async def _clean(self, _app: web.Application) -> None:
        self._reader.shutdown()


def _page() -> tuple[bytes, str]:
    """The page that asks this server, and the policy that it comes with."""
    head, script = page.front(source=page.LIVE, connect="'self'")
    return head + script + page.END, page.policy(page.LIVE, "'self'") + "; frame-ancestors 'none'"


def _json(record: Mapping[str, Any]) -> web.Response:
    return web.Response(body=to_line(record), content_type="application/json")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise web.HTTPBadRequest(text="That is no number.\n")
    return int(text)
