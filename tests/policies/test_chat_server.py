"""One server of a policy: how it is asked, counted with, and not asked too much."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.http.loopback import Answer, Loopback, choices
from tpo.http import HttpClient, HttpFailure
from tpo.http.tokens import estimated_tokens
from tpo.policies.chat_server import ChatServer
from tpo.types import Completion, Messages, Sampling, Scope, user

VLLM = Answer({"data": [{"id": "m", "max_model_len": 2000}]})
LONG: Messages = (user("word " * 800),)
SCOPE = Scope("q", 1, "update")


class Routed(Loopback):
    """A loopback that has an answer of its own for ``/tokenize``."""

    def __init__(self, tokenize: Answer, *answers: Answer, models: Answer = VLLM) -> None:
        super().__init__(*answers, models=models)
        self.tokenize = tokenize

    def _next(self) -> Answer:
        return self.tokenize if self.asked[-1].path == "/tokenize" else super()._next()

    @property
    def paths(self) -> list[str]:
        return [asked.path.rpartition("/")[2] for asked in self.asked]


@asynccontextmanager
async def served(loopback: Loopback, extra: dict[str, Any] | None = None) -> AsyncIterator[ChatServer]:
    async with loopback.up() as url:
        server = ChatServer(HttpClient(url, most=8), extra or {})
        try:
            yield server
        finally:
            await server.client.aclose()


async def asked(server: ChatServer, messages: Messages = LONG) -> Completion:
    (completion,) = await server.complete("m", messages, Sampling(max_tokens=1500), SCOPE)
    return completion


async def test_a_short_prompt_is_not_counted() -> None:
    loopback = Routed(Answer({"count": 3}), choices("a"))
    async with served(loopback) as server:
        await asked(server, (user("hi"),))
    assert loopback.paths == ["models", "completions"]


async def test_a_long_one_is_counted_as_the_template_makes_it() -> None:
    loopback = Routed(Answer({"count": 900}), choices("a"))
    shape = {"chat_template_kwargs": {"enable_thinking": False}, "top_k": 5}
    async with served(loopback, shape) as server:
        completion = await asked(server)
        await asked(server)
    assert loopback.paths == ["models", "tokenize", "completions", "tokenize", "completions"]
    count = loopback.asked[1].body
    assert count["chat_template_kwargs"] == {"enable_thinking": False}
    assert "top_k" not in count
    assert completion.served is not None
    assert completion.served.max_tokens == 1100


async def test_a_server_that_does_not_count_is_asked_once_and_then_estimated() -> None:
    loopback = Routed(Answer("no such path", 404), choices("a"))
    async with served(loopback) as server:
        completion = await asked(server)
        await asked(server)
    assert loopback.paths.count("tokenize") == 1
    assert completion.served is not None
    assert completion.served.max_tokens == 2000 - math.ceil(4 / 3 * estimated_tokens(LONG))


@pytest.mark.parametrize("models", [Answer("?", 404), Answer({"data": []}), Answer({"data": [{"id": "m"}]})])
async def test_a_server_that_tells_no_context_gets_calls_as_they_are(models: Answer) -> None:
    loopback = Routed(Answer({"count": 1}), choices("a"), models=models)
    async with served(loopback) as server:
        completion = await asked(server)
    assert loopback.bodies[-1]["max_tokens"] == 1500
    assert completion.served is not None
    assert completion.served.max_tokens is None


async def test_calls_that_start_together_ask_for_the_models_once() -> None:
    loopback = Routed(Answer({"count": 900}), choices("x"))
    async with served(loopback) as server:
        await asyncio.gather(*(asked(server, (user(f"hi {number}"),)) for number in range(5)))
    assert sorted(loopback.paths) == ["completions"] * 5 + ["models"]


async def test_what_comes_up_again_is_asked_for_its_context_again() -> None:
    loopback = Routed(Answer({"count": 900}), choices("a"))
    async with loopback.up() as url:
        server = ChatServer(HttpClient(url, most=8), {})
        await asked(server)
        port = int(url.rpartition(":")[2].removesuffix("/v1"))
        await server.client.aclose()
    with pytest.raises(HttpFailure, match="no server answers"):
        await asked(server)
    loopback._models = Answer({"data": [{"id": "m", "max_model_len": 1000}]})
    loopback.tokenize = Answer({"count": 300})
    async with loopback.up(port):
        completion = await asked(server)
        await server.client.aclose()
    assert completion.served is not None
    assert completion.served.max_tokens == 700
