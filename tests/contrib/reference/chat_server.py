"""A chat server on the loopback that answers by rule, as far as an OpenAI-compatible client can tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.serving import LoopbackServer

Body = dict[str, Any]
Answer = Callable[[Body, int], str]
"""The reply of a request's choice by its index."""


def by_role(body: Body, index: int) -> str:
    """What a model of a few rules says: an update is longer than what it improves, by its index."""
    system, asked = body["messages"][0]["content"], body["messages"][-1]["content"]
    if "<improved_response>" in system:
        return f"<improved_response>better {index} of {len(asked)}</improved_response>"
    return f"reply {index} to {asked.split()[0]}"


@dataclass
class ChatServer(LoopbackServer):
    """What it was asked, and how it answers; requests that hold the text *broken* are refused."""

    answer: Answer = by_role
    model: str = "org/model"
    key: str = "token-abc123"
    broken: str | None = None
    busy: int = 0
    """So many calls are answered 503 before the next ones are served."""
    bodies: list[Body] = field(default_factory=list)

    def application(self) -> web.Application:
        """Its routes."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        return app

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": self.model, "object": "model"}]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": {"message": "wrong key"}}, status=401)
        if body["model"] != self.model:
            return web.json_response({"error": {"message": "no such model"}}, status=404)
        if self.broken is not None and self.broken in json.dumps(body["messages"]):
            return web.json_response({"error": {"message": "broken on purpose"}}, status=400)
        if self.busy and body["max_tokens"] > 16:
            self.busy -= 1
            return web.json_response({"error": {"message": "busy"}}, status=503, headers={"Retry-After": "0"})
        if body["max_tokens"] > 16:  # else it is a check before a run
            self.bodies.append(body)
        texts = [self.answer(body, index) for index in range(body.get("n") or 1)]
        if body.get("stream"):
            return await self._stream(request, texts)
        choices = [
            {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            for i, text in enumerate(texts)
        ]
        return web.json_response({"id": "1", "object": "chat.completion", "choices": choices, "usage": USAGE})

    async def _stream(self, request: web.Request, texts: list[str]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for index, text in enumerate(texts):
            for delta, reason in (({"role": "assistant", "content": text}, None), ({}, "stop")):
                choice = {"index": index, "delta": delta, "finish_reason": reason}
                await _send(response, {"object": "chat.completion.chunk", "choices": [choice]})
        await _send(response, {"object": "chat.completion.chunk", "choices": [], "usage": USAGE})
        await response.write(b"data: [DONE]\n\n")
        return response


USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


async def _send(response: web.StreamResponse, value: Body) -> None:
    await response.write(f"data: {json.dumps(value)}\n\n".encode())
