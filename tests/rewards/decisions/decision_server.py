"""A loopback chat server with a scripted probability for each label, in the ways that it is told to offer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.serving import LoopbackServer

SYSTEMONE, EXACT, TOP, SCHEMA = "systemone", "exact", "top", "schema"
VLLM_SCORES, SGLANG_SCORES = "/generative_scoring", "/v1/score"
EVERY_WAY = frozenset({SYSTEMONE, EXACT, TOP, SCHEMA})
FIRST_WORD = 1000
"""Token of the first word of a prompt; those below are labels."""


@dataclass
class DecisionServer(LoopbackServer):
    """Replies by *chances* of the prompt's text: the probability of each token as the reply.

    What it does not offer is refused, or where *ignores* is set left unread, as servers do with fields that
    they do not know. A word is a token; *labels* are the words that the tokenizer has.
    """

    chances: Callable[[str], Mapping[str, float]]
    ways: frozenset[str] = EVERY_WAY
    ignores: bool = False
    labels: tuple[str, ...] = ("yes", "no", "A", "B", *"0123456789")
    context: int | None = None
    name: str = "chat"
    bodies: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def application(self) -> web.Application:
        """Its routes."""
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/v1/systemone", self._decide)
        if VLLM_SCORES in self.ways:
            app.router.add_post(VLLM_SCORES, self._score_as_vllm)
        if SGLANG_SCORES in self.ways:
            app.router.add_post(SGLANG_SCORES, self._score_as_sglang)
        if self.ways & {EXACT, VLLM_SCORES, SGLANG_SCORES} or self.context:
            app.router.add_post("/tokenize", self._tokenize)
        return app

    def asked(self, path: str = "/v1/chat/completions") -> list[dict[str, Any]]:
        """The bodies that came to *path*."""
        return [body for at, body in self.bodies if at == path]

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": self.name, "max_model_len": self.context}]})

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if "messages" in body:
            words = [word for turn in body["messages"] for word in turn["content"].split()]
            self.words += [word for word in words if word not in self.words]
            tokens = [FIRST_WORD + self.words.index(word) for word in words]
            return web.json_response({"count": len(tokens), "tokens": tokens})
        text = body["prompt"]
        ids = [self.labels.index(text)] if text in self.labels else [FIRST_WORD, *map(ord, text)]
        return web.json_response({"count": len(ids), "tokens": ids})

    async def _complete(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        refused = next((name for name in self._unknown(body) if not self.ignores), None)
        if refused is not None:
            return _refuse(f"unsupported field {refused}")
        chances = self.chances("\n".join(turn["content"] for turn in body["messages"]))
        text = max(chances, key=lambda label: chances[label])
        choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}}
        rows = self._alternatives(body, chances)
        if rows is not None:
            token = {"token": text, "logprob": 0.0, "top_logprobs": rows}
            choice["logprobs"] = {"content": [token]}
        usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
        return web.json_response({"choices": [choice], "usage": usage})

    def _unknown(self, body: dict[str, Any]) -> list[str]:
        fields = {EXACT: "logprob_token_ids", TOP: "logprobs", SCHEMA: "response_format"}
        return [name for way, name in fields.items() if way not in self.ways and name in body]

    def _alternatives(
        self, body: dict[str, Any], chances: Mapping[str, float]
    ) -> list[dict[str, Any]] | None:
        if EXACT in self.ways and body.get("logprob_token_ids"):
            ids = body["logprob_token_ids"]
            return [_row(f"token_id:{one}", chances.get(self.labels[one], 1e-9)) for one in ids]
        if TOP not in self.ways or not body.get("logprobs"):
            return None
        ranked = sorted(chances, key=lambda label: -chances[label])[: body.get("top_logprobs", 0)]
        return [_row(label, chances[label]) for label in ranked]

    async def _decide(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if SYSTEMONE not in self.ways:
            return web.json_response({"detail": "Not Found"}, status=404)
        answers: dict[str, Any] = {}
        for name, question in body["questions"].items():
            listed = ", ".join(question.get("criteria") or ())
            given = self.chances(f"{body['state']}\n\n{question['instructions']} {listed}")
            labels: tuple[str, ...] = ("yes", "no")
            if question["type"] == "score":
                labels = tuple(str(level) for level in range(len(question["criteria"])))
            mass = math.fsum(given.get(label, 0.0) for label in labels)
            found = {label: given.get(label, 0.0) / mass for label in labels}
            answers[name] = {"type": question["type"], "probabilities": found}
        mass_of = {name: {"label_mass": 0.9, "argmax_is_label": True} for name in answers}
        usage = {"input_tokens": 10 * len(answers), "output_tokens": len(answers)}
        return web.json_response({"answers": answers, "usage": usage, "diagnostics": mass_of})

    def _next_token(self, body: dict[str, Any]) -> list[list[float]]:
        """The probability of each label after each item."""
        assert not body["apply_softmax"]
        found = []
        for item in body["items"]:
            text = " ".join(self.words[token - FIRST_WORD] for token in [*body["query"], *item])
            chances = self.chances(text)
            found.append([chances.get(self.labels[label], 0.0) for label in body["label_token_ids"]])
        return found

    async def _score_as_vllm(self, request: web.Request) -> web.Response:
        """As ``GenerativeScoringResponse`` of vLLM 0.32: the first label's probability alone."""
        scores = self._next_token(await self._body(request))
        data = [{"index": at, "object": "score", "score": row[0]} for at, row in enumerate(scores)]
        usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
        return web.json_response({"object": "list", "model": "chat", "data": data, "usage": usage})

    async def _score_as_sglang(self, request: web.Request) -> web.Response:
        """As ``ScoringResponse`` of SGLang 0.5.23: a row of probabilities for each item."""
        scores = self._next_token(await self._body(request))
        usage = {"prompt_tokens": 10, "total_tokens": 10}
        return web.json_response({"object": "scoring", "model": "chat", "scores": scores, "usage": usage})

    async def _body(self, request: web.Request) -> dict[str, Any]:
        body: dict[str, Any] = await request.json()
        self.bodies.append((request.path, body))
        return body


def _row(token: str, chance: float) -> dict[str, Any]:
    return {"token": token, "logprob": math.log(chance)}


def _refuse(words: str) -> web.Response:
    return web.json_response({"error": {"message": words}}, status=400)
