"""Rewards behind SGLang's ``/classify``: raw logits by token ids, and servers that cannot give them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.http.loopback import VirtualTime
from tests.models import make_tokenizer
from tests.rewards.vllm.pooling_server import PoolingServer, logit
from tpo.errors import RewardRefused
from tpo.http import RetryPolicy
from tpo.rewards.sglang import SGLangReward
from tpo.types import Scope, Score, user

QUESTION = "Why?"
ANSWER = "Because of that."


@dataclass
class SGLangServer(PoolingServer):
    """The routes of SGLang 0.5.23 with ``--is-embedding``: a character is a token.

    It refuses as many tokens as the context. *truncates*: ``--allow-auto-truncate``, by which it cuts the end
    of a conversation that leaves less than six tokens of the context free.
    """

    sigmoid: bool = False
    truncates: bool = False
    is_embedding: bool = True
    tokenizes: bool = True
    batches: list[int] = field(default_factory=list)

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        if self.tokenizes:
            app.router.add_post("/tokenize", self._tokenize)
        if self.is_embedding:
            app.router.add_post("/classify", self._score)
        return app

    async def _score(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append((request.path, body))
        longest = max(map(len, body["input_ids"]))
        if longest >= self.context and not self.truncates:
            limit = f"the model's context length ({self.context} tokens)."
            text = f"The input ({longest} tokens) is longer than {limit}"
            return web.json_response({"error": {"message": text}}, status=400)
        kept = self.context - 6 if self.truncates else None
        texts = ["".join(map(chr, ids[:kept])) for ids in body["input_ids"]]
        rows = [self._row("/classify", at, text, {}) for at, text in enumerate(texts)]
        meta: dict[str, Any] = {"id": "0", "prompt_tokens": 7}
        return web.json_response([{"embedding": row["probs"], "meta_info": meta} for row in rows])


async def scored(server: SGLangServer, *responses: str, **options: Any) -> list[Score]:
    async with server.up() as url:
        retry, clock = RetryPolicy(timeout=60.0), VirtualTime().clock
        reward = SGLangReward(url, retry=retry, clock=clock, **({"tokenizer": "none"} | options))
        try:
            asked = [
                reward.score((user(QUESTION),), response, Scope("q", 0, "reward", index))
                for index, response in enumerate(responses)
            ]
            return list(await asyncio.gather(*asked))
        finally:
            await reward.aclose()


async def test_the_score_is_the_number_of_the_head() -> None:
    server = SGLangServer()
    (score,) = await scored(server, ANSWER)
    assert score.value == pytest.approx(logit(f"{QUESTION}\n{ANSWER}"))
    assert score.tokens == len(f"{QUESTION}\n{ANSWER}")
    rendered = server.bodies("/tokenize")[-1]
    assert rendered["add_generation_prompt"] is False
    assert rendered["add_special_tokens"] is False
    assert rendered["messages"][-1] == {"role": "assistant", "content": ANSWER}


async def test_conversations_share_requests_in_their_order() -> None:
    server = SGLangServer()
    responses = [ANSWER + "!" * number for number in range(20)]
    scores = await scored(server, *responses)
    assert [score.value for score in scores] == [logit(f"{QUESTION}\n{text}") for text in responses]
    sizes = [len(body["input_ids"]) for body in server.bodies("/classify")]
    assert sum(sizes) == 20 + 2 * 6
    assert max(sizes) > 1


async def test_a_sigmoid_is_refused_by_the_numbers_of_all_probes() -> None:
    with pytest.raises(RewardRefused, match=r"0\.5 to 1 for all 12 probes, as after a sigmoid"):
        await scored(SGLangServer(sigmoid=True), ANSWER)


async def test_a_server_of_chat_is_refused_with_advice() -> None:
    with pytest.raises(RewardRefused, match="start SGLang with --is-embedding"):
        await scored(SGLangServer(is_embedding=False), ANSWER)


async def test_a_server_that_tokenizes_no_messages_needs_a_tokenizer() -> None:
    with pytest.raises(RewardRefused, match="--reward-tokenizer"):
        await scored(SGLangServer(tokenizes=False), ANSWER)


async def test_a_model_of_several_labels_is_refused() -> None:
    with pytest.raises(RewardRefused, match=r"2 numbers .* with --is-embedding"):
        await scored(SGLangServer(labels=2), ANSWER)


@pytest.mark.parametrize("truncates", [False, True])
@pytest.mark.parametrize("max_length", [None, 10_000, 500])
async def test_a_conversation_is_cut_to_what_the_server_takes(
    tmp_path: Path, truncates: bool, max_length: int | None
) -> None:
    make_tokenizer().save_pretrained(tmp_path)
    server = SGLangServer(truncates=truncates)
    (score,) = await scored(server, "!" * 3000, tokenizer=tmp_path, max_length=max_length)
    length = 500 if max_length == 500 else server.context - 6
    assert score.tokens == length
    assert score.value == logit("." * length)
    assert score.truncated_tokens > 3000 - length
    (ids,) = server.bodies("/classify")[-1]["input_ids"]
    assert len(ids) == length
