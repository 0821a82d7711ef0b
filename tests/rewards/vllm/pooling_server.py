"""A loopback server that behaves like vLLM's pooling runner of one version or another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from tests.serving import LoopbackServer


def logit(text: str) -> float:
    """The made-up model: longer is better, on a raw scale far beyond any probability."""
    return len(text) / 2 - 20.0


@dataclass
class PoolingServer(LoopbackServer):
    """Scores by length. *switch* is the field that turns the sigmoid off (None: nothing does)."""

    path: ClassVar[str] = ""
    switch: str | None = "use_activation"
    paths: tuple[str, ...] = ("/classify", "/pooling")
    takes_messages: bool = True
    sigmoid: bool = True
    labels: int = 1
    model: str = "rm"
    files: str | None = "/nowhere/model"
    context: int = 1000
    most_tokens: int = 10_000
    fail: Callable[[web.Request], web.Response | None] = field(default=lambda request: None)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """What was asked of *path*."""
        return [body for at, body in self.requests if at == path]

    def application(self) -> web.Application:
        """The routes of its version."""
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/tokenize", self._tokenize)
        for path in self.paths:
            app.router.add_post(path, self._score)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        row = {"id": self.model, "root": self.files, "max_model_len": self.context}
        return web.json_response({"data": [row]})

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append((request.path, body))
        return web.json_response({"tokens": [ord(c) for c in _joined(body["messages"])]})

    async def _score(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append((request.path, body))
        failure = self.fail(request)
        if failure is not None:
            return failure
        if "messages" in body and not self.takes_messages:
            return web.json_response({"message": "field required: input"}, status=400)
        texts = self._texts(body)
        if any(len(text) > self.most_tokens for text in texts):
            return web.json_response({"message": "this one is too long"}, status=400)
        rows = [self._row(request.path, index, text, body) for index, text in enumerate(texts)]
        # In any order: the index says which is which.
        return web.json_response({"data": rows[::-1], "usage": {"prompt_tokens": sum(map(len, texts))}})

    def _texts(self, body: dict[str, Any]) -> list[str]:
        if "messages" in body:
            return [_joined(body["messages"])]
        return ["".join(map(chr, ids)) for ids in body["input"]]

    def _row(self, path: str, index: int, text: str, body: dict[str, Any]) -> dict[str, Any]:
        off = self.switch is not None and body.get(self.switch) is False
        value = logit(text) if off or not self.sigmoid else 1 / (1 + math.exp(-logit(text)))
        values = [value] * self.labels
        return {"index": index, "probs": values} if path == "/classify" else {"index": index, "data": values}


def _joined(messages: list[dict[str, Any]]) -> str:
    return "\n".join(message["content"] for message in messages)
