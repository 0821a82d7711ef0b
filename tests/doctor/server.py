"""A loopback server with the features and faults that the checks distinguish."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.serving import LoopbackServer

WORDS = ("river", "stone", "meadow", "lantern", "harbour", "violet", "thunder", "pebble")


@dataclass(frozen=True)
class Habits:
    """How a server behaves; as it stands, it does everything right."""

    takes_n: bool = True
    most_n: int = 100
    seeded: bool = True
    adds_index: bool = True
    says_cut: bool = True
    caches: bool | None = True
    """None: it has no counters."""
    keeps_form: bool = True
    various: bool = True
    context: int | None = 32_768
    key: str | None = None
    models: tuple[str, ...] = ("good",)


class ModelServer(LoopbackServer):
    """Serves a model of such *habits* from a thread of its own while its block lasts."""

    def __init__(self, habits: Habits | None = None) -> None:
        self.habits = habits or Habits()
        self.requests: list[dict[str, Any]] = []
        self._seen: set[str] = set()
        self._read = self._hits = 0

    def application(self) -> web.Application:
        """Its routes, behind the key."""
        app = web.Application(middlewares=[self._ask_for_key])
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/v1/chat/completions", self._complete)
        return app

    @web.middleware
    async def _ask_for_key(self, request: web.Request, handler: Any) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if self.habits.key is not None and given != f"Bearer {self.habits.key}":
            return web.json_response({"error": {"message": f"bad key: {given}"}}, status=401)
        response: web.StreamResponse = await handler(request)
        return response

    async def _models(self, _: web.Request) -> web.Response:
        limit = {} if self.habits.context is None else {"max_model_len": self.habits.context}
        return web.json_response({"data": [{"id": name} | limit for name in self.habits.models]})

    async def _metrics(self, _: web.Request) -> web.Response:
        if self.habits.caches is None:
            raise web.HTTPNotFound
        return web.Response(
            text="# HELP vllm:prefix_cache_queries_total tokens\n"
            f'vllm:prefix_cache_queries_total{{engine="0"}} {float(self._read)}\n'
            f'vllm:prefix_cache_hits_total{{engine="0"}} {float(self._hits)}\n'
        )

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(body)
        if body["model"] not in self.habits.models:
            return web.json_response({"error": {"message": "no such model"}}, status=404)
        if (body.get("n") or 1) > self.habits.most_n:
            message = f"Field 'n': Value must be between 1 <= value <= {self.habits.most_n}"
            return web.json_response({"error": {"message": message}}, status=400)
        count = (body.get("n") or 1) if self.habits.takes_n else 1
        choices = [self._choice(body, index) for index in range(count)]
        prompt = sum(len(str(message["content"]).split()) for message in body["messages"])
        self._count(str(body["messages"]), prompt)
        written = sum(len(choice["message"]["content"].split()) for choice in choices)
        usage = {"prompt_tokens": prompt, "completion_tokens": written}
        return web.json_response({"choices": choices, "usage": usage})

    def _count(self, prompt: str, tokens: int) -> None:
        self._read += tokens
        if self.habits.caches and prompt in self._seen:
            self._hits += tokens
        self._seen.add(prompt)

    def _choice(self, body: dict[str, Any], index: int) -> dict[str, Any]:
        asked = str(body["messages"][-1]["content"])
        words = self._words(asked, self._seed(body, index))
        whole = words[: body["max_tokens"]]
        cut = len(whole) < len(words)
        text = " ".join(whole)
        if "<improved_response>" in asked and self.habits.keeps_form:
            text = f"<improved_response>{text} and more</improved_response>"
        reason = "length" if cut and self.habits.says_cut else "stop"
        message = {"role": "assistant", "content": text}
        return {"index": index, "message": message, "finish_reason": reason}

    def _seed(self, body: dict[str, Any], index: int) -> int:
        if not self.habits.seeded:
            return len(self.requests) * 100 + index
        several = body.get("n", 1) > 1
        return int(body["seed"]) + index * (1 if self.habits.adds_index or not several else 7)

    def _words(self, asked: str, seed: int) -> list[str]:
        if not self.habits.various:
            return ["always", "the", "very", "same", "words"]
        digest = hashlib.sha256(f"{asked}\0{seed}".encode()).digest()
        return [WORDS[byte % len(WORDS)] for byte in digest[: 8 + digest[0] % 8]]
