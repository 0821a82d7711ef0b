"""Grades as the token after the reply's beginning, for tokenizers that split it in one way or another."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tpo.http import HttpClient
from tpo.http.model_cards import ModelCard
from tpo.rewards.judge.scale import ScaleScorer
from tpo.rewards.judge.verdict import JudgeReply, expected_score
from tpo.types import user


async def reply_with(tokenize: Callable[[str], list[int]]) -> JudgeReply | None:
    """The reply of a server with this tokenizer, which finds grades 6 and 8 equally likely."""

    async def tokens(request: web.Request) -> web.Response:
        body = await request.json()
        return web.json_response({"tokens": tokenize(body["prompt"]) if "prompt" in body else [1, 2, 3]})

    async def score(request: web.Request) -> web.Response:
        labels = (await request.json())["label_token_ids"]
        row = [0.4 if token % 1000 in (ord("6"), ord("8")) else 0.0 for token in labels]
        return web.json_response({"scores": [row]})

    app = web.Application()
    app.router.add_post("/tokenize", tokens)
    app.router.add_post("/v1/score", score)
    async with TestServer(app) as server:
        client = HttpClient(str(server.make_url("/v1")))
        try:
            return await ScaleScorer(client).reply(ModelCard("judge"), [user("Grade.")])
        finally:
            await client.aclose()


def characters(text: str) -> list[int]:
    return [ord(character) for character in text]


def with_the_space(text: str) -> list[int]:
    """A digit and the space before it are one token."""
    before, _, after = text.partition(" ")
    return [*characters(before), 1000 + ord(after[0]), *characters(after[1:])]


def of_two_tokens(text: str) -> list[int]:
    """A digit is two tokens."""
    return [token for one in text for token in ([7, ord(one)] if one in "13579" else [ord(one)])]


@pytest.mark.parametrize("tokenize", [characters, with_the_space])
async def test_the_grade_is_the_token_in_which_the_replies_differ(
    tokenize: Callable[[str], list[int]],
) -> None:
    reply = await reply_with(tokenize)
    assert reply is not None
    assert expected_score(reply) == pytest.approx(7.0)
    assert reply.cost > 0


async def test_grades_that_are_no_single_token_are_not_scored() -> None:
    assert await reply_with(of_two_tokens) is None
