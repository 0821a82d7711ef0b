"""The benchmarks for real servers, against a scripted one on the loopback: they measure what they say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from benchmarks.load import level
from benchmarks.one_query import measured
from benchmarks.overlap import bodies, served
from benchmarks.ways import WAYS, Drawn, events, streamed

from tests.openai_server import OpenAIServer
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Query, user


class StreamingServer(OpenAIServer):
    """Streams where it is asked to; *forgotten* samples then never finish."""

    def __init__(self, forgotten: int = 0) -> None:
        super().__init__()
        self.forgotten = forgotten

    async def _complete(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]  # streams too
        body = await request.json()
        if not body.get("stream"):
            return await super()._complete(request)
        self.requests.append(body)
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        for event in self._events(body):
            await reply.write(f"data: {json.dumps(event)}\n\n".encode())
        await reply.write(b"data: [DONE]\n\n")
        return reply

    def _events(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        words = [{"index": index, "delta": {"content": "word"}} for index in range(body["n"])]
        ends = [{"index": i, "delta": {}, "finish_reason": "stop"} for i in range(body["n"] - self.forgotten)]
        told = {"choices": [], "usage": {"completion_tokens": 10 * body["n"]}}
        return [*({"choices": [choice]} for choice in words + ends), told]


@pytest.mark.parametrize(
    ("name", "requests"), [("one request with n", 1), ("n requests", 5), ("streaming", 1)]
)
async def test_each_way_draws_every_sample_of_every_call(name: str, requests: int) -> None:
    with StreamingServer() as server:
        row = await served(server.url, WAYS[name], bodies("scripted", 3, 64), 5, in_flight=2)
    assert len(server.requests) == 3 * requests
    assert row["tokens"] > 0
    assert row["mean_head_start_s"] >= 0
    seeds = sorted(body["seed"] for body in server.requests)
    assert len(set(seeds)) == len(seeds)
    assert len({body["cache_salt"] for body in server.requests}) == 3


async def test_a_stream_that_leaves_a_sample_out_is_no_measurement() -> None:
    (body,) = bodies("scripted", 1, 64)
    with StreamingServer(forgotten=1) as server:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(RuntimeError, match="4 of 5"):
                await streamed(session, f"{server.url}/chat/completions", body, 5)


async def test_what_stands_between_events_and_after_the_end_is_passed_over() -> None:
    async def lines() -> AsyncIterator[bytes]:
        for line in (
            b": hello\n",
            b"\n",
            b'data: {"choices": []}\n',
            b"data:\n",
            b"data: [DONE]\n",
            b"data: x\n",
        ):
            yield line

    assert [event async for event in events(lines())] == [{"choices": []}]


def test_the_head_start_is_what_siblings_wait_for_the_slowest() -> None:
    assert Drawn((1.0, 2.0, 3.0), 30).head_start == 1.0
    assert Drawn((3.0, 3.0), 30).head_start == 0.0


async def test_the_plain_load_is_the_runs_own_requests_under_another_salt() -> None:
    queries = [Query(f"q{number}", (user(f"question {number}"),)) for number in range(3)]
    with OpenAIServer() as server:
        row = await level(server.url, "scripted", ScriptedReward(), queries, 2)
    assert (row["calls"], row["stop_reasons"]) == (21, {"max_iterations": 3})
    assert len(server.requests) == 42
    run, plain = server.requests[:21], server.requests[21:]
    assert {len({body.pop("cache_salt") for body in half}) for half in (run, plain)} == {1}
    assert sorted(map(_asked, run)) == sorted(map(_asked, plain))
    assert row["of_plain"] > 0


def _asked(body: dict[str, Any]) -> str:
    """A request as text; that one sample is meant need not be said."""
    return json.dumps({"n": 1} | body, sort_keys=True)


@pytest.mark.parametrize(("method", "calls"), [("tpo", 7), ("fused", 5)])
async def test_one_querys_round_trips_are_counted_by_phase(method: str, calls: int) -> None:
    with OpenAIServer() as server:
        found = await measured(server.url, method, 2)
    assert found["calls_a_query"] == calls
    assert ("loss" in found["by_phase"]) == (method == "tpo")
    assert sum(found["by_phase"].values()) <= found["seconds_a_query"] + 0.01
