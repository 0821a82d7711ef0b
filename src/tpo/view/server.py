"""HTTP routes of the live view: page, summary, table rows, trajectories, figures, change events.

Requests name runs and queries by number; a file name is never taken from a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiohttp import web

from tpo.errors import StoreError
from tpo.report import page
from tpo.report.line_figures import RunMeasures
from tpo.store.jsonline import to_line
from tpo.view.catalog import Catalog
from tpo.view.change_notifier import ChangeNotifier
from tpo.view.figure_cache import MAX_RUNS_DRAWN, FigureCache, Numbers
from tpo.view.guard import add_security_headers, guard, token_guard
from tpo.view.live_run import LiveRun, StaleRequest

INTERVAL = 0.5
"""Seconds between two reads of the files."""

HEARTBEAT = 5.0
"""Seconds between two events when nothing changes."""

MAX_LISTENERS = 64
"""Maximum pages that follow changes; a further one takes the place of the one that came first."""

log = logging.getLogger(__name__)

T = TypeVar("T")
Pause = Callable[[float], Awaitable[object]]


class Server:
    """Request handlers over *catalog*; *pause* sleeps for a number of seconds.

    Every *heartbeat* seconds without a change, a stream of changes repeats its last event.
    With a *token*, only who has opened the page with it in the address gets anything.
    One worker thread reads and queries the catalog in small pieces, so that neither waits long.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        token: str = "",
        pause: Pause = asyncio.sleep,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self.changes = ChangeNotifier()
        self._catalog = catalog
        self._pause = pause
        self._heartbeat = heartbeat
        self._token = token
        self._session = secrets.token_hex(8)
        self._drawings = FigureCache(self._snapshot)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="tpo-view")
        self._page, self._policy = _page()

    def app(self, *, follow: bool = True) -> web.Application:
        """Return the application. Unless it shall *follow* the files, the caller calls :meth:`refresh`."""
        guards: list[Any] = [guard, token_guard(self._token)] if self._token else [guard]
        app = web.Application(middlewares=guards)
        app.on_response_prepare.append(add_security_headers)
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

    async def refresh(self) -> bool:
        """Read new lines and notify the pages; return whether more can be read now."""
        changed, more = await self._read(self._catalog.refresh)
        if changed:
            self.changes.notify()
        return more

    async def _following(self, _app: web.Application) -> AsyncIterator[None]:
        async def follow() -> None:
            failed = False
            while True:
                try:
                    more, failed = await self.refresh(), False
                except (OSError, StoreError) as error:  # a full temporary directory, too
                    if not failed:
                        log.warning("cannot read the runs, and try again: %s", error)
                    more, failed = False, True
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
        told = await self._read(self._catalog.summary)
        return _json(told | {"session": self._session, "change": version})

    async def _figures(self, request: web.Request) -> web.Response:
        numbers = tuple(sorted({_number(text) for text in request.query.get("runs", "").split(",") if text}))
        if len(numbers) > MAX_RUNS_DRAWN or (numbers and numbers[-1] >= len(self._catalog.runs)):
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
        except StaleRequest as gone:
            raise web.HTTPNotFound(text=f"{gone}\n") from gone

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Send server-sent events: one now, then one per change or per heartbeat."""
        if len(self.changes) >= MAX_LISTENERS:
            self.changes.dismiss_oldest()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        with self.changes.listening() as listener, contextlib.suppress(ConnectionError):
            await response.prepare(request)
            while self.changes.includes(listener):
                told = f'{{"session":"{self._session}","change":{self.changes.version}}}'
                await response.write(f"data: {told}\n\n".encode())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(listener.wait(), self._heartbeat)
                listener.clear()
        return response

    async def _snapshot(self, numbers: Numbers) -> tuple[object, list[RunMeasures]]:
        def taken() -> tuple[object, list[RunMeasures]]:
            runs = [self._catalog.runs[number].measured() for number in numbers]
            marks = [(self._catalog.runs[n].generation, self._catalog.runs[n].table.version) for n in numbers]
            return marks, runs

        return await self._read(taken)

    async def _read(self, what: Callable[[], T]) -> T:
        """Return the result of *what*, called in the catalog's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, what)

    def _run(self, request: web.Request) -> LiveRun:
        number = int(request.match_info["run"])
        if number >= len(self._catalog.runs):
            raise web.HTTPNotFound(text="There is no such run.\n")
        return self._catalog.runs[number]

    async def _shut(self, _app: web.Application) -> None:
        self.changes.close()

    async def _clean(self, _app: web.Application) -> None:
        self._reader.shutdown()


def _page() -> tuple[bytes, str]:
    """Return the page and its content security policy."""
    head, script = page.head_and_script(source=page.LIVE, connect="'self'")
    return head + script + page.END, page.content_security_policy(
        page.LIVE, "'self'"
    ) + "; frame-ancestors 'none'"


def _json(record: Mapping[str, Any]) -> web.Response:
    return web.Response(body=to_line(record), content_type="application/json")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise web.HTTPBadRequest(text="That is no number.\n")
    return int(text)
