"""Rewards behind vLLM's pooling server: raw logits from every version, servers that fail, and bad replies."""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web

from tests.http.loopback import VirtualTime
from tests.rewards.vllm.pooling_server import PoolingServer, logit
from tpo.errors import ConfigError, RewardError, RewardRefused
from tpo.events import CallRetried, Event
from tpo.http import Clock, RetryPolicy
from tpo.rewards.vllm import VLLMReward
from tpo.types import Scope, Score, user

QUESTION = "Why?"
MESSAGES = (user(QUESTION),)
RETRY = RetryPolicy(timeout=60.0)


def reward_at(*urls: str, time: VirtualTime | None = None, **options: Any) -> VLLMReward:
    clock = (time or VirtualTime()).clock
    return VLLMReward(urls, clock=clock, retry=RETRY, **({"tokenizer": "none"} | options))


def at(query: str = "q", index: int = 0) -> Scope:
    return Scope(query, 0, "reward", index)


def expected(response: str) -> float:
    return logit(f"{QUESTION}\n{response}")


async def scored(server: PoolingServer, response: str = "Because of that.", **options: Any) -> Score:
    async with server.up() as url:
        reward = reward_at(url, **options)
        try:
            return await reward.score(MESSAGES, response, at())
        finally:
            await reward.aclose()


@pytest.mark.parametrize("switch", ["use_activation", "activation", "softmax"])
@pytest.mark.parametrize("paths", [("/classify", "/pooling"), ("/pooling",)])
async def test_every_version_gives_the_raw_logit(switch: str, paths: tuple[str, ...]) -> None:
    server = PoolingServer(switch=switch, paths=paths)
    score = await scored(server)
    assert score.value == pytest.approx(expected("Because of that."))
    assert score.tokens == len(QUESTION) + 1 + len("Because of that.")
    last = server.bodies(paths[0])[-1]
    assert last[switch] is False
    assert last.get("task") == (None if paths[0] == "/classify" else "classify")
    assert last["add_special_tokens"] is False


async def test_a_server_that_only_gives_probabilities_is_refused_with_advice() -> None:
    with pytest.raises(RewardRefused, match="between 0 and 1") as caught:
        await scored(PoolingServer(switch=None))
    assert "--pooler-config" in str(caught.value)


async def test_a_server_without_any_activation_is_taken() -> None:
    assert (await scored(PoolingServer(switch=None, sigmoid=False))).value == pytest.approx(
        expected("Because of that.")
    )


async def test_a_server_that_is_no_pooling_server_is_refused_with_advice() -> None:
    with pytest.raises(RewardRefused, match="--runner pooling"):
        await scored(PoolingServer(paths=()))


async def test_a_model_of_several_labels_is_refused() -> None:
    with pytest.raises(RewardRefused, match="2 numbers"):
        await scored(PoolingServer(labels=2))


async def test_another_model_than_named_is_refused() -> None:
    with pytest.raises(RewardRefused, match="no model 'other'; it serves 'rm'"):
        await scored(PoolingServer(), model="other")


async def test_the_version_is_found_out_once() -> None:
    server = PoolingServer()
    async with server.up() as url:
        reward = reward_at(url)
        await asyncio.gather(*(reward.score(MESSAGES, "x" * n, at(str(n))) for n in range(9)))
        await reward.aclose()
    assert len(server.bodies("/classify")) == 4 + 9


async def test_where_messages_are_not_taken_the_servers_own_tokens_are_and_they_share_requests() -> None:
    server = PoolingServer(takes_messages=False)
    responses = ["x" * n for n in range(12)]
    async with server.up() as url:
        reward = reward_at(url)
        scores = await asyncio.gather(*(reward.score(MESSAGES, text, at()) for text in responses))
        before = len(server.bodies("/classify"))
        again = await asyncio.gather(*(reward.score(MESSAGES, text, at()) for text in responses))
        await reward.aclose()
    assert [score.value for score in scores] == pytest.approx([expected(text) for text in responses])
    assert scores == again
    assert len(server.bodies("/classify")) - before < 12


async def test_a_response_that_is_refused_fails_alone_though_it_shared_a_request() -> None:
    server = PoolingServer(takes_messages=False, most_tokens=200)
    async with server.up() as url:
        reward = reward_at(url)
        calls = (reward.score(MESSAGES, text, at(index=i)) for i, text in enumerate(["a", "b" * 300, "c"]))
        first, second, third = await asyncio.gather(*calls, return_exceptions=True)
        await reward.aclose()
    assert isinstance(first, Score)
    assert isinstance(third, Score)
    assert isinstance(second, RewardError)
    assert not isinstance(second, RewardRefused)
    assert str(second).startswith("query 'q', response 0.1: ")
    assert "this one is too long" in str(second)


class Trouble:
    """Fails requests number *first* to *last* in the way of *response*."""

    def __init__(self, first: int, last: int, response: Any) -> None:
        self.count, self.first, self.last, self.response = 0, first, last, response

    def __call__(self, _: web.Request) -> web.Response | None:
        self.count += 1
        return self.response() if self.first <= self.count <= self.last else None


@pytest.mark.parametrize(
    "response",
    [
        lambda: web.Response(status=503, text="busy"),
        lambda: web.Response(status=429, headers={"Retry-After": "3"}),
        lambda: web.Response(text='{"data": ['),
        lambda: web.json_response({"data": []}),
    ],
)
@pytest.mark.parametrize("first", [1, 5])
async def test_what_passes_is_tried_again_while_probing_and_later(response: Any, first: int) -> None:
    time, heard = VirtualTime(), list[Event]()
    server = PoolingServer(fail=Trouble(first, first + 1, response))
    async with server.up() as url:
        reward = reward_at(url, time=time, listener=heard.append)
        assert (await reward.score(MESSAGES, "ok", at())).value == pytest.approx(expected("ok"))
        await reward.aclose()
    assert time.waits
    assert [event.wait for event in heard if isinstance(event, CallRetried)] == time.waits
    assert all(isinstance(event, CallRetried) and event.scope == at() for event in heard)


async def test_a_server_that_stays_down_fails_the_query_and_not_the_run() -> None:
    server = PoolingServer(fail=Trouble(5, 10_000, lambda: web.Response(status=500, text="engine is dead")))
    with pytest.raises(RewardError, match="engine is dead") as caught:
        await scored(server)
    assert not isinstance(caught.value, RewardRefused)


async def test_a_wrong_key_ends_the_run_and_is_not_repeated() -> None:
    server = PoolingServer(fail=lambda _: web.Response(status=401, text="no such key: secret-key"))
    with pytest.raises(RewardRefused, match="TPO_REWARD_API_KEY") as caught:
        await scored(server, api_key="secret-key")
    assert "secret-key" not in str(caught.value)


async def test_no_server_at_all_is_one_clear_sentence() -> None:
    async with PoolingServer().up() as url:
        pass
    with pytest.raises(RewardRefused, match="is it running"):
        await reward_at(url).score(MESSAGES, "x", at())


async def test_a_score_that_is_no_number_is_no_score() -> None:
    nan = Trouble(5, 5, lambda: web.Response(text='{"data": [{"index": 0, "probs": [NaN]}]}'))
    with pytest.raises(RewardError, match="nan, which is no score"):
        await scored(PoolingServer(fail=nan))


async def test_pictures_are_refused_for_their_query() -> None:
    async with PoolingServer().up() as url:
        reward = reward_at(url)
        picture = ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]},)
        with pytest.raises(RewardError, match="image_url"):
            await reward.score(picture, "x", at())  # type: ignore[arg-type] # as a data set gives it
        await reward.aclose()


async def test_queries_are_spread_over_servers_and_outlive_one_of_them() -> None:
    first, second = PoolingServer(), PoolingServer()
    async with first.up() as one:
        async with second.up() as two:
            reward = reward_at(one, two)
            # Which query goes where depends on the servers' ports.
            before = [await reward.score(MESSAGES, "x", at(str(n))) for n in range(60)]
            assert all(len(server.bodies("/classify")) > 4 + 3 for server in (first, second))
        after = [await reward.score(MESSAGES, "x", at(str(n))) for n in range(60)]
        await reward.aclose()
    assert before == after
    assert all(math.isclose(score.value, expected("x")) for score in after)


async def test_a_server_that_comes_back_as_another_version_is_asked_anew() -> None:
    async with AsyncExitStack() as stack:

        async def restart(_: float) -> None:
            await stack.enter_async_context(PoolingServer(switch="activation").up(port))

        async with PoolingServer().up() as url:
            port = int(url.rpartition(":")[2])
            clock = Clock(now=lambda: 0.0, sleep=restart)
            reward = VLLMReward(url, tokenizer="none", clock=clock)
            before = await reward.score(MESSAGES, "x", at())
        assert await reward.score(MESSAGES, "x", at()) == before
        await reward.aclose()


def test_bad_options_are_refused() -> None:
    with pytest.raises(ConfigError):
        VLLMReward("not a url")
    with pytest.raises(ConfigError):
        VLLMReward(["http://h:1", "http://h:1/v1"])
    with pytest.raises(ConfigError):
        VLLMReward("http://h:1", max_length=0)


def test_a_reward_serves_one_loop_after_the_other() -> None:
    async def twice() -> None:
        async with PoolingServer().up() as url:
            reward = reward_at(url)
            for _ in range(2):
                await reward.score(MESSAGES, "x", at())
            await reward.aclose()

    asyncio.run(twice())
    asyncio.run(twice())
