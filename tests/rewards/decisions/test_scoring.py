"""Scoring endpoints of vLLM and SGLang: recognized once, exact, and never with a prompt that is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from tests.rewards.decisions.decision_server import (
    SCHEMA,
    SGLANG_SCORES,
    TOP,
    VLLM_SCORES,
    DecisionServer,
)
from tpo.http import HttpClient, HttpFailure
from tpo.rewards.decisions.label_server import LabelServer
from tpo.rewards.decisions.labels import LabelAnswer, LabelQuestion
from tpo.types import user

QUESTION = LabelQuestion((user("Which is the best"),), ("A", "B"))
CHANCES = {"A": 0.06, "B": 0.54, "Hm": 0.4}
CHAT = "/v1/chat/completions"


async def asked(
    server: DecisionServer, times: int = 1, question: LabelQuestion = QUESTION, **options: Any
) -> tuple[list[LabelAnswer], str]:
    async with server.up() as url:
        client = HttpClient(url)
        labels = LabelServer(client, None, **options)
        try:
            answers = [await labels.ask(question)]
            answers += await asyncio.gather(*(labels.ask(question) for _ in range(times - 1)))
        finally:
            await client.aclose()
    return answers, labels.way


def serving(*ways: str, chances: Mapping[str, float] = CHANCES, **options: Any) -> DecisionServer:
    return DecisionServer(lambda prompt: chances, frozenset(ways), ignores=True, **options)


@pytest.mark.parametrize(("way", "requests"), [(VLLM_SCORES, 2), (SGLANG_SCORES, 1)])
async def test_a_server_with_the_endpoint_gives_the_probability_of_every_label(
    way: str, requests: int
) -> None:
    server = serving(way, TOP, SCHEMA)
    (answer,), named = await asked(server)
    assert answer.probabilities == {"A": pytest.approx(0.1), "B": pytest.approx(0.9)}
    assert answer.mass == pytest.approx(0.6)
    assert answer.tokens in (10, 22)
    assert named == f"exact label probabilities from {way}"
    bodies = server.asked(way)
    assert len(bodies) == requests
    prompt = [server.words[token - 1000] for token in [*bodies[0]["query"], *bodies[0]["items"][0]]]
    assert prompt == ["Which", "is", "the", "best"]


async def test_the_template_is_told_not_to_think() -> None:
    server = serving(SGLANG_SCORES, TOP)
    await asked(server)
    (rendered,) = [body for body in server.asked("/tokenize") if "messages" in body]
    assert rendered["chat_template_kwargs"] == {"enable_thinking": False}


@pytest.mark.parametrize("way", [VLLM_SCORES, SGLANG_SCORES])
async def test_the_endpoint_is_found_once(way: str) -> None:
    server = serving(way, TOP, SCHEMA)
    await asked(server, times=20)
    assert len(server.asked(CHAT)) == 1
    assert len(server.asked(VLLM_SCORES)) == (40 if way == VLLM_SCORES else 0)
    assert len(server.asked(SGLANG_SCORES)) == (20 if way == SGLANG_SCORES else 0)


async def test_a_server_without_it_is_asked_for_it_once() -> None:
    """A tokenizer alone is not enough: the context makes the stand-in have one."""
    server = serving(TOP, SCHEMA, context=1000)
    answers, way = await asked(server, times=20)
    assert way == "the 20 likeliest tokens"
    assert answers[-1].probabilities["B"] == pytest.approx(0.9)
    rendered = [body for body in server.asked("/tokenize") if "messages" in body]
    assert len(rendered) == 1
    assert len(server.asked(CHAT)) == 21  # one for exact probabilities, then one for each question


async def test_another_endpoint_at_the_same_path_is_not_taken_for_it() -> None:
    """VLLM and others rank documents at ``/v1/score``."""

    class Ranker(DecisionServer):
        async def _score_as_sglang(self, request: web.Request) -> web.Response:
            return web.json_response({"object": "list", "data": [{"index": 0, "score": 0.5}]})

    answers, way = await asked(Ranker(lambda prompt: CHANCES, frozenset({SGLANG_SCORES, TOP}), ignores=True))
    assert way == "the 20 likeliest tokens"
    assert answers[0].probabilities["B"] == pytest.approx(0.9)


async def test_a_prompt_beyond_the_context_fails_before_the_server_can_cut_it() -> None:
    server = serving(VLLM_SCORES, context=4)
    with pytest.raises(HttpFailure, match="4 tokens exceeds the context length 4"):
        await asked(server, thinks=False)
    assert server.asked(VLLM_SCORES) == []


async def test_a_reply_that_begins_with_reasoning_is_not_scored() -> None:
    """Its first token is no label, and no text either: the votes of whole replies count."""
    chances = {"": 0.9999, "A": 2e-5, "B": 3e-5}
    server = serving(SGLANG_SCORES, TOP, chances=chances)
    with pytest.raises(Exception, match="replies are none of"):
        await asked(server)
    assert len(server.asked(SGLANG_SCORES)) == 1


async def test_a_failing_endpoint_that_was_found_is_a_failure() -> None:
    class Failing(DecisionServer):
        async def _score_as_sglang(self, request: web.Request) -> web.Response:
            if self.asked(SGLANG_SCORES):
                await self._body(request)
                return web.json_response({"message": "no such label"}, status=400)
            return await super()._score_as_sglang(request)

    with pytest.raises(HttpFailure, match="no such label"):
        await asked(Failing(lambda prompt: CHANCES, frozenset({SGLANG_SCORES, TOP}), ignores=True), times=2)
