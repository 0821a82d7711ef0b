"""A loopback chat server that grades as it was told to, and refuses what it was told not to know."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.serving import LoopbackServer


@dataclass
class JudgeServer(LoopbackServer):
    """Replies with *reply* of the request's body and number; *chances* are the digits' at the score.

    *exact* are the digits' as vLLM gives them: the named tokens' alone, however unlikely. *scores* are those
    of SGLang's ``/v1/score``, whose chat leaves ``logprob_token_ids`` unread. A character is a token.
    """

    reply: Callable[[dict[str, Any], int], str] = lambda body, number: '{"score": 7}'
    chances: Mapping[str, float] | None = None
    exact: Mapping[str, float] | None = None
    scores: Mapping[str, float] | None = None
    context: int | None = None
    model: str = "judge"
    unknown: tuple[str, ...] = ()
    refusal: int = 400
    status: int = 200
    listing_status: int = 200
    listings: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    tokenized: list[str] = field(default_factory=list)
    scored: list[dict[str, Any]] = field(default_factory=list)

    def application(self) -> web.Application:
        """Its routes."""
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        if self.exact is not None or self.scores is not None:
            app.router.add_post("/tokenize", self._tokenize)
        if self.scores is not None:
            app.router.add_post("/v1/score", self._score)
        return app

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        if "messages" in body:
            text = "\n".join(turn["content"] for turn in body["messages"])
        else:
            text = body["prompt"]
            self.tokenized.append(text)
        return web.json_response({"tokens": [ord(char) for char in text], "count": len(text)})

    async def _score(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.scored.append(body)
        rows = [[(self.scores or {}).get(chr(one), 0.0) for one in body["label_token_ids"]]]
        return web.json_response({"scores": rows, "usage": {"total_tokens": 10}})

    async def _models(self, _: web.Request) -> web.Response:
        self.listings += 1
        if self.listing_status != 200:
            return web.Response(text="<html>no list</html>", status=self.listing_status)
        return web.json_response({"data": [{"id": self.model, "max_model_len": self.context}]})

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        if self.status != 200:
            return web.json_response({"error": {"message": "no such key"}}, status=self.status)
        for name in self.unknown:
            roles = [message["role"] for message in body["messages"]]
            if name in body or name in str(body.get("response_format")) or name.split()[0] in roles:
                return web.json_response({"error": {"message": f"unsupported: {name}"}}, status=self.refusal)
        self.bodies.append(body)
        text = self.reply(body, len(self.bodies))
        choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}}
        if self.chances is not None and body.get("logprobs"):
            choice["logprobs"] = {"content": [self._token(c) for c in text]}
        if self.exact is not None and body.get("logprob_token_ids"):
            choice["logprobs"] = {"content": [self._named(c, body["logprob_token_ids"]) for c in text]}
        return web.json_response({"choices": [choice], "usage": {"total_tokens": 10}})

    def _token(self, char: str) -> dict[str, Any]:
        alternatives = self.chances if char.isdigit() and self.chances is not None else {char: 1.0}
        top = [{"token": token, "logprob": math.log(chance)} for token, chance in alternatives.items()]
        return {"token": char, "logprob": 0.0, "top_logprobs": top}

    def _named(self, char: str, ids: list[int]) -> dict[str, Any]:
        chances = self.exact or {}
        top = [{"token": chr(one), "logprob": math.log(chances.get(chr(one), 1e-12))} for one in ids]
        return {"token": char, "logprob": 0.0, "top_logprobs": top}
