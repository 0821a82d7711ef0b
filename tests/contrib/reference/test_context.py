"""Prompt and reply of one call together stay within a number of tokens."""

import pytest

from tests.http.test_tokens import ENGLISH, TokenizeServer
from tpo.contrib.reference.context import LEAST_REPLY, ContextBound, reply_limit
from tpo.http import HttpClient
from tpo.http.tokens import estimated_tokens
from tpo.policies.scripted import ScriptedPolicy
from tpo.types import Messages, Phase, Sampling, Scope, user

PROMPT = (user("x" * 4000),)  # about 1,000 tokens and a turn of 16


def limit(phase: Phase, total: int, max_tokens: int = 2048) -> int:
    return reply_limit(
        estimated_tokens(PROMPT), Sampling(max_tokens=max_tokens), Scope("q0", 1, phase), total
    )


def test_a_critique_may_take_what_its_prompt_leaves() -> None:
    assert limit("loss", 8192) == limit("gradient", 8192) == 8192 - 1016


def test_a_response_keeps_its_own_limit_where_that_is_lower() -> None:
    assert limit("sample", 8192) == limit("update", 8192) == 2048
    assert limit("update", 2016) == 1000


def test_a_reply_gets_something_even_where_nothing_is_left() -> None:
    assert limit("update", 900) == limit("loss", 900) == LEAST_REPLY
    assert limit("loss", 100) == 100
    assert limit("sample", 900, max_tokens=10) == 10


def test_parts_that_are_no_text_count_nothing() -> None:
    assert estimated_tokens(({"role": "user", "content": [{"type": "image_url"}]},)) == 16


async def test_the_policy_is_asked_with_the_new_limit() -> None:
    policy = ScriptedPolicy()
    bound = ContextBound(policy, 8192)
    replies = [c async for c in bound.sample(PROMPT, Sampling(n=2), Scope("q0", 1, "loss"))]
    assert len(replies) == 2
    assert policy.calls[0].sampling == Sampling(n=2, max_tokens=8192 - 1016)


@pytest.mark.parametrize("text", ["\ud800", "é" * 10])
def test_any_text_has_a_length(text: str) -> None:
    assert estimated_tokens((user(text),)) > 16


async def limit_of(messages: Messages, phase: str, server: TokenizeServer) -> int:
    policy = ScriptedPolicy()
    async with server.up() as url:
        bound = ContextBound(policy, 8192, HttpClient(url), "m")
        async for _ in bound.sample(messages, Sampling(max_tokens=2048), Scope("q0", 1, phase)):
            pass
        await bound.aclose()
    return policy.calls[0].sampling.max_tokens


@pytest.mark.parametrize(("phase", "limit"), [("update", 2048), ("loss", 4192)])
async def test_a_reply_may_take_what_the_servers_count_leaves(phase: str, limit: int) -> None:
    assert await limit_of(ENGLISH, phase, TokenizeServer("messages", {"count": 4000})) == limit


@pytest.mark.parametrize("status", [404, 503])
async def test_a_long_english_prompt_leaves_a_fair_reply_without_a_tokenizer(status: int) -> None:
    # The reference's defaults: 8,192 tokens for all, 2,048 for a response.
    assert await limit_of(ENGLISH, "update", TokenizeServer("nothing", {}, status)) == 2048
    assert await limit_of((user("word " * 5600),), "update", TokenizeServer("nothing", {}, status)) == 1176


async def test_a_short_prompt_is_not_counted() -> None:
    server = TokenizeServer("messages", {"count": 4000})
    assert await limit_of((user("short"),), "sample", server) == 2048
    assert server.bodies == []
