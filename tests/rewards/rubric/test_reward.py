"""A rubric's scores: ways to ask, the record, what is recognised once, and prompts that are too long."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from tests.rewards.decisions.decision_server import (
    EVERY_WAY,
    EXACT,
    SCHEMA,
    SGLANG_SCORES,
    SYSTEMONE,
    TOP,
    VLLM_SCORES,
    DecisionServer,
)
from tpo.errors import RewardError
from tpo.rewards.rubric import RubricReward
from tpo.rewards.rubric.criteria import Criterion, RubricFile
from tpo.types import Query, Scope, Score, user

QUERY = Query("q", (user("Name a fruit."),), metadata={"rubrics": [{"criterion": "rare", "points": 1}]})
SCOPE = Scope("q", 1, "reward", 2, data=QUERY)
KIND = Criterion("kind", "kind", 3.0)
FALSE = Criterion("false", "false", -1.0)
SIZE = Criterion("size", "size", 1.0, ("small", "fair", "large"))
CRITERIA = (KIND, FALSE, SIZE)


def scripted(prompt: str) -> Mapping[str, float]:
    """Probabilities of the reply by the criterion that the prompt names."""
    if "Criterion: kind" in prompt:
        return {"yes": 0.54, "no": 0.06, "Hm": 0.4}
    if "Criterion: size" in prompt:
        return {"0": 0.1, "1": 0.2, "2": 0.6, "Hm": 0.1}
    return {"yes": 0.2, "no": 0.8}


async def scored(server: DecisionServer, criteria: Any = CRITERIA, times: int = 1) -> Score:
    async with server.up() as url:
        reward = RubricReward(url, criteria)
        try:
            scores = await asyncio.gather(
                *(reward.score(QUERY.messages, "A pear.", SCOPE) for _ in range(times))
            )
        finally:
            await reward.aclose()
    assert len(set(map(repr, scores))) == 1
    return scores[0]


@pytest.mark.parametrize(
    "ways",
    [
        EVERY_WAY,
        {EXACT, TOP, SCHEMA},
        {VLLM_SCORES, TOP, SCHEMA},
        {SGLANG_SCORES, TOP, SCHEMA},
        {TOP, SCHEMA},
    ],
)
@pytest.mark.parametrize("ignores", [True, False])
async def test_every_criterion_has_its_probability(ways: set[str], ignores: bool) -> None:
    score = await scored(DecisionServer(scripted, frozenset(ways), ignores=ignores))
    size = (0.2 + 2 * 0.6) / 0.9 / 2
    assert score.criteria == {
        "kind": pytest.approx(0.9),
        "avoid: false": pytest.approx(0.8),
        "size": pytest.approx(size),
    }
    assert score.value == pytest.approx((3 * 0.9 - 0.2 + size) / 4)


@pytest.mark.parametrize("ways", [{SCHEMA}, set()])
@pytest.mark.parametrize("ignores", [True, False])
async def test_without_probabilities_the_votes_are_counted(ways: set[str], ignores: bool) -> None:
    score = await scored(DecisionServer(scripted, frozenset(ways), ignores=ignores))
    assert score.criteria == {"kind": 1.0, "avoid: false": 1.0, "size": 1.0}


async def test_the_endpoint_takes_all_criteria_in_one_request() -> None:
    server = DecisionServer(scripted)
    score = await scored(server)
    (body,) = server.asked("/v1/systemone")
    assert [question["type"] for question in body["questions"].values()] == ["noul", "noul", "score"]
    assert "A pear." in body["state"]
    assert score.tokens == 33
    assert server.asked() == []


async def test_more_criteria_than_a_request_takes_are_parted() -> None:
    many = tuple(Criterion(f"kind {number}", f"kind {number}") for number in range(65))
    server = DecisionServer(scripted)
    score = await scored(server, many)
    assert [len(body["questions"]) for body in server.asked("/v1/systemone")] == [64, 1]
    assert len(score.criteria) == 65
    assert score.tokens == 65 * 11


async def test_without_the_endpoint_the_prompts_share_their_beginning() -> None:
    server = DecisionServer(scripted, EVERY_WAY - {SYSTEMONE})
    await scored(server)
    prompts = [body["messages"][0]["content"] for body in server.asked()]
    assert len(prompts) == 3
    shared = prompts[0][: prompts[0].index("Criterion:")]
    assert all(prompt.startswith(shared) for prompt in prompts)


@pytest.mark.parametrize("ways", [set(), {SCHEMA}, {TOP, SCHEMA}, {EXACT, TOP, SCHEMA}])
async def test_a_server_is_recognised_once(ways: set[str]) -> None:
    """Eight responses at once bring two refusals of a field at most, of its better and its lesser form."""
    refused: list[str] = []

    class Counting(DecisionServer):
        def _unknown(self, body: dict[str, Any]) -> list[str]:
            found = super()._unknown(body)
            refused.extend(found[:1])
            return found

    server = Counting(scripted, frozenset(ways))
    await scored(server, times=8)
    assert max(Counter(refused).values(), default=0) <= 2
    assert sum(path == "/v1/systemone" for path, _ in server.bodies) == 1
    tokenized = [body["prompt"] for body in server.asked("/tokenize")]
    assert len(tokenized) == len(set(tokenized))


async def test_a_rows_own_criteria_come_after_those_of_the_file() -> None:
    score = await scored(DecisionServer(scripted), RubricFile((KIND,), "rubrics"))
    assert score.criteria == {"kind": pytest.approx(0.9), "rare": pytest.approx(0.2)}
    assert score.value == pytest.approx((3 * 0.9 + 0.2) / 4)


async def test_a_row_without_the_column_fails_alone() -> None:
    async with DecisionServer(scripted).up() as url:
        reward = RubricReward(url, RubricFile((), "checks"))
        with pytest.raises(
            RewardError, match=r"^query 'q', response 1\.2: .*no column 'checks'; it has rubr"
        ):
            await reward.score(QUERY.messages, "A pear.", SCOPE)
        await reward.aclose()


@pytest.mark.parametrize("ways", [EVERY_WAY, {EXACT, TOP, SCHEMA}])
async def test_a_long_conversation_loses_its_beginning_and_that_is_told(ways: set[str]) -> None:
    server = DecisionServer(scripted, frozenset(ways), context=400)
    long = (user("word " * 900 + "the end of the question"),)
    async with server.up() as url:
        reward = RubricReward(url, (KIND,))
        score = await reward.score(long, "A pear.", SCOPE)
        await reward.aclose()
    (sent,) = [body.get("state") or body["messages"][0]["content"] for path, body in server.bodies[-1:]]
    assert "the end of the question" in sent
    assert "A pear." in sent
    assert len(sent.split()) <= 400
    assert score.truncated_tokens >= 500


@pytest.mark.parametrize("words", [350, 900])
async def test_a_reply_that_is_counted_has_its_room(words: int) -> None:
    class Strict(DecisionServer):
        async def _complete(self, request: web.Request) -> web.Response:
            body = await request.json()
            taken = sum(len(turn["content"].split()) for turn in body["messages"]) + body["max_tokens"]
            if taken > 400:
                error = {"message": "This model's maximum context length is 400 tokens."}
                return web.json_response({"error": error}, status=400)
            return await super()._complete(request)

    async with Strict(scripted, frozenset(), context=400).up() as url:
        reward = RubricReward(url, (KIND,))
        score = await reward.score((user("word " * words),), "A pear.", SCOPE)
        await reward.aclose()
    assert score.truncated_tokens > 0
    assert score.criteria == {"kind": 1.0}


async def test_a_response_that_does_not_fit_is_an_error() -> None:
    async with DecisionServer(scripted, context=400).up() as url:
        reward = RubricReward(url, (KIND,))
        with pytest.raises(RewardError, match=r"^query 'q', response 1\.2: .*more than the 335 tokens"):
            await reward.score(QUERY.messages, "word " * 500, SCOPE)
        await reward.aclose()


@pytest.mark.parametrize("ways", [EVERY_WAY, {EXACT, TOP, SCHEMA}])
async def test_the_shift_of_an_order_is_measured_for_each_question_of_yes_or_no(ways: set[str]) -> None:
    def likes_the_first(prompt: str) -> Mapping[str, float]:
        no_first = "no or yes" in prompt or "no, yes" in prompt
        return {"yes": 0.6 if no_first else 0.75, "no": 0.4 if no_first else 0.25}

    async with DecisionServer(likes_the_first, frozenset(ways)).up() as url:
        reward = RubricReward(url, CRITERIA)
        shifts = await reward.order_shifts(QUERY.messages, "A pear.", SCOPE)
        await reward.aclose()
    assert shifts == {"kind": pytest.approx(0.15), "false": pytest.approx(0.15)}


@pytest.mark.parametrize(("label_mass", "votes"), [(1e-6, True), (0.01, False)])
async def test_a_first_token_without_text_and_hardly_a_label_is_reasoning(
    label_mass: float, votes: bool
) -> None:
    def opens_with_a_mark(prompt: str) -> Mapping[str, float]:
        return {"": 1 - label_mass, "yes": 0.75 * label_mass, "no": 0.25 * label_mass}

    server = DecisionServer(opens_with_a_mark, frozenset({EXACT, TOP}))
    async with server.up() as url:
        reward = RubricReward(url, (KIND,))
        if votes:
            with pytest.raises(RewardError, match="are none of yes, no"):
                await reward.score(QUERY.messages, "A pear.", SCOPE)
        else:
            score = await reward.score(QUERY.messages, "A pear.", SCOPE)
            assert score.criteria == {"kind": pytest.approx(0.75)}
        await reward.aclose()
    assert any("logprobs" not in body for body in server.asked()) is votes
