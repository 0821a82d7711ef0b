"""A proxy that spoils replies: put it before any HTTP server to see what a client makes of bad days.

with FaultProxy("http://127.0.0.1:8000", share=0.2, seed=1) as proxy:
    ... proxy.url, proxy.counts

or ``python -m tests.fault_proxy http://127.0.0.1:8000 --port 9000 --share 0.2``. A request that is spoiled
has or has not reached the server, as in life: some faults come before it, some after.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, get_args

import aiohttp
from aiohttp import web

from tests.serving import LoopbackServer

Fault = Literal["429", "500", "reset", "cut", "malformed", "empty", "held"]
"""Too many requests, with Retry-After; an engine's death; a connection reset before any reply; a reply that
ends in its middle; one that is no JSON; one without choices or scores; one that comes after long silence."""

FAULTS: tuple[Fault, ...] = get_args(Fault)

Dialect = Literal[
    "401",
    "403",
    "404",
    "302",
    "408",
    "502",
    "503",
    "529",
    "nonsense wait",
    "page",
    "error",
    "errors in choices",
    "error in a choice",
    "finish reason",
    "no message",
    "stream",
    "cut stream",
]
"""What gateways and other servers send as well: statuses of a moment, with pages and odd headers; a page, an
error or half a reply with status 200; a stream that was not asked for, whole (which is no fault) or cut."""

ALL_FAULTS: tuple[Fault | Dialect, ...] = (*FAULTS, *get_args(Dialect))
PAGE = "<html><body><h1>Bad gateway</h1></body></html>"
HEADERS = {
    "302": {"Location": "https://login.invalid/"},
    "503": {"Retry-After": "0", "X-Trace": "x" * 50_000},
    "nonsense wait": {"Retry-After": "999999999"},
}


class FaultProxy(LoopbackServer):
    """Serves in front of *target* from a thread of its own while its block lasts.

    Args:
        target: the server's root, without ``/v1``.
        share: of the replies to POST requests that are spoiled; others pass.
        faults: which, in equal parts.
        seed: of what is spoiled; the same requests in the same order meet the same faults.
        held: seconds of silence of a reply that is held.
        retry_after: seconds that a 429 asks to wait.
        spared: requests that pass before any is spoiled, as some faults are fatal at the start.
        port: 0 takes a free one.
    """

    def __init__(
        self,
        target: str,
        *,
        share: float = 0.2,
        faults: Sequence[Fault | Dialect] = FAULTS,
        seed: int = 0,
        held: float = 30.0,
        retry_after: float = 1.0,
        spared: int = 0,
        port: int = 0,
    ) -> None:
        self.counts: Counter[str] = Counter()
        """Replies by fault, "passed" those that were left alone."""
        self._target = target.rstrip("/")
        self._share, self._faults = share, tuple(faults)
        self._luck = random.Random(seed)
        self._held, self._retry_after, self._spared = held, retry_after, spared
        self.wanted_port = port

    @property
    def sent(self) -> int:
        """POST requests that came in."""
        return self.counts.total()

    def application(self) -> web.Application:
        """Everything goes to the server behind."""
        self._session = aiohttp.ClientSession()
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def stop(self) -> None:
        """Close every connection."""
        await super().stop()
        await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        fault = self._draw() if request.method == "POST" else None
        if fault == "429":
            wait = {"Retry-After": f"{self._retry_after:g}"}
            return web.json_response({"error": {"message": "slow down"}}, status=429, headers=wait)
        if fault == "500":
            return web.json_response({"error": {"message": "engine dead"}}, status=500)
        if fault is not None and (fault.isdigit() or fault == "nonsense wait"):
            status, headers = int(fault) if fault.isdigit() else 503, HEADERS.get(fault)
            return web.Response(text=PAGE, status=status, content_type="text/html", headers=headers)
        if fault == "held":
            await asyncio.sleep(self._held)
        reply = await self._forward(request)
        return reply if fault is None else await self._spoil(request, reply, fault)

    def _draw(self) -> Fault | Dialect | None:
        spoiled = self._luck.random() < self._share and self.sent >= self._spared
        fault = self._luck.choice(self._faults) if spoiled else None
        self.counts[fault or "passed"] += 1
        return fault

    async def _forward(self, request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        url = self._target + str(request.rel_url)
        async with self._session.request(
            request.method, url, data=await request.read(), headers=headers
        ) as reply:
            body, kind = await reply.read(), reply.content_type
        return web.Response(body=body, status=reply.status, content_type=kind)

    async def _spoil(
        self, request: web.Request, reply: web.Response, fault: Fault | Dialect
    ) -> web.StreamResponse:
        body = reply.body if isinstance(reply.body, bytes) else b""
        if fault == "malformed":
            return web.Response(body=body[: len(body) // 2], status=200, content_type="application/json")
        if fault == "empty":
            whole = json.loads(body)
            rows = "choices" if "choices" in whole else "data"  # of completions, or of scores
            return web.json_response(whole | {rows: []})
        if fault in ("cut", "reset"):
            return await self._broken(request, body, cut=fault == "cut")
        if fault == "page":
            return web.Response(text=PAGE, content_type="text/html")
        if fault in ("stream", "cut stream"):
            stream = as_stream(json.loads(body))
            return web.Response(text=stream if fault == "stream" else stream[: len(stream) // 2])
        return web.json_response(_spoiled(json.loads(body), fault)) if fault in get_args(Dialect) else reply

    async def _broken(self, request: web.Request, body: bytes, *, cut: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(body))})
        assert request.transport is not None
        if cut:
            await response.prepare(request)
            await response.write(body[: len(body) // 2])
            request.transport.close()
        else:
            request.transport.abort()
        return response


def _spoiled(whole: dict[str, Any], fault: str) -> dict[str, Any]:
    """Return a reply with an error in it."""
    error = {"message": "provider returned error", "code": 502}
    if fault == "error":
        return {"error": error}
    first, *others = whole["choices"]
    if fault == "error in a choice":
        return whole | {"choices": [{"index": 0, "error": error}, *others]}
    if fault == "errors in choices":
        return whole | {"choices": [{"index": 0, "error": error}]}
    if fault == "no message":
        return whole | {"choices": [{"index": 0}, *others]}
    return whole | {"choices": [first | {"finish_reason": "error"}]}


def as_stream(whole: dict[str, Any]) -> str:
    """Return a reply as server-sent events, word by word."""
    pieces: list[dict[str, Any]] = []
    for choice in whole["choices"]:
        words = re.findall(r"\S+\s*|\s+", choice["message"]["content"])
        pieces += [{"index": choice["index"], "delta": {"content": word}} for word in words]
        pieces += [{"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}]
    events = [{"choices": [piece]} for piece in pieces] + [{"choices": [], "usage": whole["usage"]}]
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


async def _serve(proxy: FaultProxy) -> None:
    print(await proxy.start(), flush=True)  # noqa: T201 - a command's output
    try:
        await asyncio.Event().wait()
    finally:
        await proxy.stop()
        print(dict(proxy.counts))  # noqa: T201 - a command's output


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="A proxy that spoils replies.")
    parser.add_argument("target", help="the server's root, http://HOST:PORT")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--faults", nargs="+", choices=ALL_FAULTS, default=FAULTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held", type=float, default=30.0, help="seconds")
    given = vars(parser.parse_args())
    asyncio.run(_serve(FaultProxy(given.pop("target"), **given)))


if __name__ == "__main__":
    main()
