"""Prompts are counted by a server's tokenizer, in whichever form it takes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiohttp import web

from tests.serving import LoopbackServer
from tpo.http import HttpClient, HttpFailure
from tpo.http.tokens import ServerTokenizer, estimated_tokens, surely_fits, tool_text
from tpo.types import Messages, assistant, user

ENGLISH = (user("word " * 4000),)  # 20,000 characters, 4,000 tokens of most tokenizers
LLAMA_CPP: dict[str, Any] = {"tokens": []}
"""What llama.cpp answers, with status 200, where the body has no ``content``."""


class TokenizeServer(LoopbackServer):
    """Gives *reply* to bodies with the field *takes* at ``/tokenize``, and *otherwise* to the rest."""

    def __init__(self, takes: str, reply: Any, status: int = 400, otherwise: Any = None) -> None:
        self.takes, self.reply, self.status, self.otherwise = takes, reply, status, otherwise
        self.bodies: list[dict[str, Any]] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/tokenize", self._tokenize)
        return app

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        if self.takes in body:
            return web.json_response(self.reply)
        if self.otherwise is not None:
            return web.json_response(self.otherwise)
        return web.json_response({"error": {"message": "no"}}, status=self.status)


@asynccontextmanager
async def tokenizer_of(
    server: TokenizeServer, extra: dict[str, Any] | None = None
) -> AsyncIterator[ServerTokenizer]:
    async with server.up() as url:
        client = HttpClient(url)
        try:
            yield ServerTokenizer(client, extra)
        finally:
            await client.aclose()


async def test_tools_of_a_call_are_counted() -> None:
    tools = {"tools": [{"type": "function", "function": {"name": "weather", "description": "d" * 400}}]}
    server = TokenizeServer("messages", {"count": 9})
    async with tokenizer_of(server, {"chat_template_kwargs": {"a": 1}}) as tokenizer:
        assert await tokenizer.count("m", ENGLISH, {**tools, "stop": ["x"]}) == 9
        assert server.bodies[0]["tools"] == tools["tools"]
        assert server.bodies[0]["chat_template_kwargs"] == {"a": 1}
        assert "stop" not in server.bodies[0]
    called = cast("Messages", ({"role": "assistant", "content": None, "tool_calls": tools["tools"]},))
    for messages, extra in ((ENGLISH, tools), ((*ENGLISH, *called), {})):
        more = tool_text(messages, extra)
        assert "weather" in more
        assert estimated_tokens(messages, more) >= estimated_tokens(messages) + 100
        assert surely_fits(messages, 10, 20_400)
        assert not surely_fits(messages, 10, 20_400, more)
    assert tool_text(ENGLISH, {}) == ""


async def test_a_refusal_of_a_calls_own_fields_says_nothing_of_other_calls() -> None:
    server = TokenizeServer("messages", {"count": 9})
    async with tokenizer_of(server) as tokenizer:
        server.takes = "nothing"
        assert await tokenizer.count("m", ENGLISH, {"tools": ["malformed"]}) is None
        server.takes = "messages"
        assert await tokenizer.count("m", ENGLISH) == 9


async def test_vllm_counts_whole_messages() -> None:
    reply = {"count": 1234, "max_model_len": 8192, "tokens": [5] * 1234, "token_strs": None}
    server = TokenizeServer("messages", reply)
    async with tokenizer_of(server) as tokenizer:
        assert await tokenizer.count("m", ENGLISH) == 1234
    assert server.bodies == [{"model": "m", "messages": list(ENGLISH), "add_generation_prompt": True}]


async def test_fields_that_shape_the_prompt_are_sent_along_and_empty_turns_are_not() -> None:
    server = TokenizeServer("messages", {"count": 9})
    extra = {"chat_template_kwargs": {"enable_thinking": False}, "add_generation_prompt": False, "top_k": 5}
    async with tokenizer_of(server, extra) as tokenizer:
        await tokenizer.count("m", (user("a"), assistant("")))
    (body,) = server.bodies
    assert body == {
        "model": "m",
        "messages": [user("a")],
        "chat_template_kwargs": {"enable_thinking": False},
        "add_generation_prompt": False,
    }


@pytest.mark.parametrize(
    "server",
    [
        TokenizeServer("content", {"tokens": [1, 2, 3]}, otherwise=LLAMA_CPP),
        TokenizeServer("prompt", {"tokens": [1, 2, 3], "count": 3, "max_model_len": 4096}, 422),
        TokenizeServer("prompt", {"count": 3}),
    ],
    ids=["llama.cpp", "SGLang", "older vLLM"],
)
async def test_else_their_text_and_the_template_is_allowed_for(server: TokenizeServer) -> None:
    async with tokenizer_of(server) as tokenizer:
        assert await tokenizer.count("m", ENGLISH) == 3 + 16
        assert await tokenizer.count("m", ENGLISH) == 3 + 16
    assert [sorted(body) for body in server.bodies] == [
        ["add_generation_prompt", "messages", "model"],
        ["content", "model", "prompt"],
        ["content", "model", "prompt"],
    ]


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (405, 1), (400, 2)])
async def test_a_server_without_a_tokenizer_is_not_asked_again(status: int, requests: int) -> None:
    server = TokenizeServer("nothing", {}, status)
    async with tokenizer_of(server) as tokenizer:
        assert [await tokenizer.count("m", ENGLISH) for _ in range(3)] == [None] * 3
    assert len(server.bodies) == requests


@pytest.mark.parametrize("reply", [[], {"count": "3"}, {"count": -1}, {"count": True}, {"tokens": 3}])
async def test_a_count_of_another_shape_is_none(reply: Any) -> None:
    async with tokenizer_of(TokenizeServer("model", reply)) as tokenizer:
        assert await tokenizer.count("m", ENGLISH) is None


async def test_one_prompt_that_is_refused_does_not_change_the_form() -> None:
    server = TokenizeServer("messages", {"count": 7})
    async with tokenizer_of(server) as tokenizer:
        assert await tokenizer.count("m", ENGLISH) == 7
        server.takes = "nothing"
        assert await tokenizer.count("m", ENGLISH) is None
        server.takes = "messages"
        assert await tokenizer.count("m", ENGLISH) == 7
    assert all("messages" in body for body in server.bodies)


async def test_a_failure_that_passes_is_no_reason_to_stop_asking() -> None:
    server = TokenizeServer("nothing", {}, 503)
    async with tokenizer_of(server) as tokenizer:
        with pytest.raises(HttpFailure):
            await tokenizer.count("m", ENGLISH)
        server.takes, server.reply = "messages", {"count": 7}
        assert await tokenizer.count("m", ENGLISH) == 7


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [("word " * 400, 400, 520), ("日本語のテキスト" * 50, 400, 420), ("Привет, мир! " * 100, 400, 1400)],
)
def test_estimates_are_fair_for_english_and_never_low_for_other_scripts(
    text: str, least: int, most: int
) -> None:
    assert least <= estimated_tokens((user(text),)) <= most


def test_a_prompt_surely_fits_only_if_every_byte_may_be_a_token() -> None:
    prompt = (user("é" * 100),)  # 200 bytes; 64 tokens per turn and for the reply's
    assert surely_fits(prompt, 50, 200 + 2 * 64 + 50)
    assert not surely_fits(prompt, 50, 200 + 2 * 64 + 49)
