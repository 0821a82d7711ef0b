"""A real OpenAI-compatible server on the loopback, with scripted replies: for tests of everything above HTTP.

with OpenAIServer(lambda body, index: "hello") as server:
    ... server.url, server.requests
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.serving import LoopbackServer

Reply = Callable[[dict[str, Any], int], str]
"""The text of choice *index* of the request *body*; an ``aiohttp.web`` HTTP exception answers the request."""


def improving(body: dict[str, Any], index: int) -> str:
    """Longer answers for updates than for first samples, by what the last message asks for."""
    if "<improved_response>" in str(body["messages"][-1]["content"]):
        return f"<improved_response>An improved answer, number {index}{'!' * index}</improved_response>"
    return f"Answer {index}{'.' * index}"


class OpenAIServer(LoopbackServer):
    """Serves ``/v1/models`` and ``/v1/chat/completions`` from a thread of its own while its block lasts."""

    model = "scripted"

    def __init__(self, reply: Reply = improving) -> None:
        self.requests: list[dict[str, Any]] = []
        self._reply = reply

    def application(self) -> web.Application:
        """Its routes."""
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": self.model, "object": "model"}]})

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(body)
        texts = [self._reply(body, index) for index in range(body.get("n") or 1)]
        return web.json_response(
            {
                "id": "c0",
                "object": "chat.completion",
                "created": 0,
                "model": self.model,
                "choices": [_choice(index, text) for index, text in enumerate(texts)],
                "usage": _usage(body, texts),
            }
        )


def _choice(index: int, text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"index": index, "message": message, "finish_reason": "stop"}


def _usage(body: dict[str, Any], texts: list[str]) -> dict[str, int]:
    prompt = sum(len(str(message["content"]).split()) for message in body["messages"])
    written = sum(len(text.split()) for text in texts)
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}
