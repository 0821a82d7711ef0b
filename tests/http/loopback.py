"""A real server on the loopback that says what it was told to, and a time that passes by being waited for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.serving import LoopbackServer
from tpo.http import Clock


@dataclass
class VirtualTime:
    """Seconds that pass only where somebody waits; *waits* records them."""

    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)

    async def sleep(self, wait: float) -> None:
        self.waits.append(wait)
        self.seconds += wait
        await asyncio.sleep(0)

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, sleep=self.sleep, jitter=lambda: 0.0)


@dataclass(frozen=True)
class Answer:
    """A reply: *body* as JSON, or text as it is; *cut* ends the connection in its middle.

    What follows the first event of a stream waits for *hold*.
    """

    body: Any = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    hold: asyncio.Event | None = None


@dataclass
class Asked:
    """What came in."""

    path: str
    headers: dict[str, str]
    body: Any


class Loopback(LoopbackServer):
    """Gives *answers* one after the other, the last one for ever; ``/v1/models`` has its own."""

    def __init__(self, *answers: Answer, models: Answer | None = None) -> None:
        self.asked: list[Asked] = []
        self._answers = list(answers)
        self._models = models or Answer({"data": [{"id": "only"}]})

    @property
    def bodies(self) -> list[Any]:
        """The bodies of the requests for completions."""
        return [asked.body for asked in self.asked if asked.path != "/v1/models"]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.asked.append(Asked(request.path, dict(request.headers), body))
        return await _sent(request, self._models if request.path == "/v1/models" else self._next())

    def _next(self) -> Answer:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def application(self) -> web.Application:
        """Every path is answered."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        return app


async def _sent(request: web.Request, answer: Answer) -> web.StreamResponse:
    if answer.cut:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(str(answer.body or '{"choices": [').encode())
        assert request.transport is not None
        request.transport.close()
        return response
    if answer.hold is not None:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        first, blank, rest = answer.body.partition("\n\n")
        await response.write(f"{first}{blank}".encode())
        await answer.hold.wait()
        await response.write(rest.encode())
        return response
    if isinstance(answer.body, str):
        return web.Response(text=answer.body, status=answer.status, headers=answer.headers)
    return web.json_response(answer.body, status=answer.status, headers=answer.headers)


def choices(*texts: str | None, **usage: int) -> Answer:
    """A well-formed reply with a choice for each of *texts*."""
    rows = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for i, text in enumerate(texts)
    ]
    return Answer({"choices": rows, "usage": usage})
