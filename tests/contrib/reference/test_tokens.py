"""Prompts are counted by a server's tokenizer, in whichever form it takes them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.serving import LoopbackServer
from tpo.contrib.reference.context import ContextBound
from tpo.contrib.reference.tokens import ServerTokenizer, estimated_tokens
from tpo.policies.scripted import ScriptedPolicy
from tpo.types import Messages, Sampling, Scope, user

ENGLISH = (user("word " * 4000),)  # 20,000 characters, 4,000 tokens of most tokenizers


class TokenizeServer(LoopbackServer):
    """Takes the fields of *takes* at ``/tokenize`` and gives *reply*, with status 400 to other bodies."""

    def __init__(self, takes: str, reply: Any, status: int = 400) -> None:
        self.takes, self.reply, self.status = takes, reply, status
        self.bodies: list[dict[str, Any]] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/tokenize", self._tokenize)
        return app

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        if self.takes not in body:
            return web.json_response({"error": {"message": "no"}}, status=self.status)
        return web.json_response(self.reply)


@asynccontextmanager
async def tokenizer_of(server: TokenizeServer) -> AsyncIterator[ServerTokenizer]:
    async with server.up() as url:
        tokenizer = ServerTokenizer(url, "m")
        try:
            yield tokenizer
        finally:
            await tokenizer.aclose()


async def test_whole_messages_are_counted_where_the_server_takes_them() -> None:
    server = TokenizeServer("messages", {"count": 1234, "tokens": []})
    async with tokenizer_of(server) as tokenizer:
        assert await tokenizer.count(ENGLISH) == 1234
    assert server.bodies == [{"model": "m", "messages": list(ENGLISH), "add_generation_prompt": True}]


@pytest.mark.parametrize("reply", [{"tokens": [1, 2, 3]}, {"count": 3}])
async def test_else_their_text_and_the_template_is_allowed_for(reply: dict[str, Any]) -> None:
    server = TokenizeServer("content", reply)
    async with tokenizer_of(server) as tokenizer:
        assert await tokenizer.count(ENGLISH) == 3 + 16
        assert await tokenizer.count(ENGLISH) == 3 + 16
    assert [sorted(body) for body in server.bodies] == [
        ["add_generation_prompt", "messages", "model"],
        ["content", "model", "prompt"],
        ["content", "model", "prompt"],
    ]


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (400, 2)])
async def test_a_server_without_a_tokenizer_is_not_asked_again(status: int, requests: int) -> None:
    server = TokenizeServer("nothing", {}, status)
    async with tokenizer_of(server) as tokenizer:
        assert [await tokenizer.count(ENGLISH) for _ in range(3)] == [None] * 3
    assert len(server.bodies) == requests


async def test_a_failure_that_passes_is_no_reason_to_stop_asking() -> None:
    server = TokenizeServer("nothing", {}, 503)
    async with tokenizer_of(server) as tokenizer:
        assert await tokenizer.count(ENGLISH) is None
        server.takes, server.reply = "messages", {"count": 7}
        assert await tokenizer.count(ENGLISH) == 7


async def limit_of(messages: Messages, phase: str, server: TokenizeServer) -> int:
    policy = ScriptedPolicy()
    async with tokenizer_of(server) as tokenizer:
        bound = ContextBound(policy, 8192, tokenizer)
        async for _ in bound.sample(messages, Sampling(max_tokens=2048), Scope("q0", 1, phase)):
            pass
    return policy.calls[0].sampling.max_tokens


@pytest.mark.parametrize(("phase", "limit"), [("update", 2048), ("loss", 4192)])
async def test_a_reply_may_take_what_the_servers_count_leaves(phase: str, limit: int) -> None:
    assert await limit_of(ENGLISH, phase, TokenizeServer("messages", {"count": 4000})) == limit


async def test_a_long_english_prompt_leaves_a_fair_reply_without_a_tokenizer() -> None:
    # The reference's defaults: 8,192 tokens for all, 2,048 for a response.
    assert await limit_of(ENGLISH, "update", TokenizeServer("nothing", {}, 404)) == 2048
    assert await limit_of((user("word " * 5600),), "update", TokenizeServer("nothing", {}, 404)) == 1176


async def test_a_short_prompt_is_not_counted() -> None:
    server = TokenizeServer("messages", {"count": 4000})
    assert await limit_of((user("short"),), "sample", server) == 2048
    assert server.bodies == []


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [("word " * 400, 400, 520), ("日本語のテキスト" * 50, 400, 420), ("Привет, мир! " * 100, 400, 1400)],
)
def test_estimates_are_fair_for_english_and_never_low_for_other_scripts(
    text: str, least: int, most: int
) -> None:
    assert least <= estimated_tokens((user(text),)) <= most
