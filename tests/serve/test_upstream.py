import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.http.loopback import Loopback, choices
from tests.serve.serving import CHAT, Client, asked, served, until
from tests.serving import LoopbackServer
from tpo.http import Balancer, RetryPolicy
from tpo.policies import OpenAIPolicy
from tpo.serve.request import conversation_key
from tpo.serve.upstream import Upstream

CHUNKS = [b'data: {"n": %d}\n\n' % number for number in range(3)]


class Streaming(LoopbackServer):
    """Answers as it is told to, and streams CHUNKS, the later ones when ``go`` is set."""

    def __init__(self, status: int = 200, body: Any = None) -> None:
        self.status = status
        self.body = body or {"choices": [], "seen": True}
        self.requests: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}
        self.go = asyncio.Event()
        self.breaks = False
        self.open = 0

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        return app

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body | {"key": request.headers.get("Authorization")})
        if not body.get("stream"):
            return web.json_response(self.body, status=self.status, headers=self.headers)
        self.open += 1
        try:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(CHUNKS[0])
            while not self.go.is_set() and request.transport is not None:  # noqa: ASYNC110 - a lost client
                await asyncio.sleep(0)
            if self.breaks and request.transport is not None:
                request.transport.close()
                return response
            for chunk in CHUNKS[1:]:
                await response.write(chunk)
            return response
        finally:
            self.open -= 1


@asynccontextmanager
async def passing(server: Streaming) -> AsyncIterator[Client]:
    async with server.up() as url:
        upstream = Upstream([url], "real", "key", timeout=60.0, retry=RetryPolicy(timeout=0.0))
        async with served(upstream=upstream, hidden=upstream.addresses, keys=("client",)) as client:
            client.session.headers["Authorization"] = "Bearer client"
            yield client
        await upstream.aclose()


async def test_off_passes_every_field_on_under_the_models_own_name_and_key() -> None:
    server = Streaming()
    async with passing(server) as client:
        reply = await client.chat(model="m@off", logprobs=True, top_k=3, tpo={})
        assert reply.json == server.body
    sent = server.requests[0]
    assert (sent["model"], sent["top_k"], sent["logprobs"], sent["key"]) == ("real", 3, True, "Bearer key")
    assert "tpo" not in sent


async def test_a_field_that_the_operator_removes_is_not_sent() -> None:
    server = Streaming()
    async with server.up() as url:
        upstream = Upstream([url], "real", None, timeout=60.0, extra={"seed": None, "top_k": 2})
        async with served(upstream=upstream) as client:
            await client.chat(model="m@off", seed=5, user=None)
        await upstream.aclose()
    assert "seed" not in server.requests[0]
    assert (server.requests[0]["top_k"], server.requests[0]["user"]) == (2, None)


async def test_a_refusal_that_is_passed_on_counts_as_an_error() -> None:
    server = Streaming(422, {"error": {"message": "no"}})
    async with passing(server) as client:
        assert (await client.chat(model="m@off")).status == 422
        metrics = (await client.get("/metrics")).text
    assert 'tpo:request_error_total{status="422"} 1.0' in metrics
    assert "tpo:request_success_total{" not in metrics


def test_the_key_of_a_conversation_is_short_and_stays_as_it_grows() -> None:
    first = [{"role": "system", "content": "s" * 10**6}, {"role": "user", "content": "u"}]
    later = [*first, {"role": "assistant", "content": "a"}, {"role": "user", "content": "more"}]
    assert conversation_key(first) == conversation_key(tuple(later)) != conversation_key(later[2:])
    assert len(conversation_key(first)) == len(conversation_key("no list")) == 64


async def test_conversations_are_spread_over_the_servers_and_each_stays_with_its_own() -> None:
    servers = [Streaming(), Streaming()]
    system = {"role": "system", "content": "Be brief. " * 200}

    async def ask(client: Client, *turns: str) -> list[int]:
        roles = ("user", "assistant", "user")
        messages = [
            system,
            *({"role": role, "content": turn} for role, turn in zip(roles, turns, strict=False)),
        ]
        before = [len(server.requests) for server in servers]
        await client.post(CHAT, {"model": "m@off", "messages": messages})
        return [len(server.requests) - count for server, count in zip(servers, before, strict=True)]

    async with servers[0].up() as first, servers[1].up() as second:
        upstream = Upstream([first, second], "real", None, timeout=60.0, retry=RetryPolicy(timeout=0.0))
        async with served(upstream=upstream) as client:
            asked_first = [await ask(client, f"question {number}") for number in range(20)]
            later = [await ask(client, f"question {number}", "answer", "more") for number in range(20)]
        await upstream.aclose()
    assert asked_first == later
    assert [1, 0] in asked_first
    assert [0, 1] in asked_first


async def test_a_conversation_leaves_a_server_where_far_more_calls_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spread: list[bool] = []
    order = Balancer.order

    def recorded(self: Any, key: str, *, spreads: bool = False) -> list[str]:
        spread.append(spreads)
        return order(self, key, spreads=spreads)

    monkeypatch.setattr(Balancer, "order", recorded)
    async with Streaming().up() as url:
        upstream = Upstream([url], "real", None, timeout=60.0, retry=RetryPolicy(timeout=0.0))
        async with served(upstream=upstream) as client:
            await client.post(CHAT, {"model": "m@off", "messages": [{"role": "user", "content": "hi"}]})
        await upstream.aclose()
    assert spread == [True]


async def test_an_optimized_conversation_stays_with_its_server_as_it_grows() -> None:
    servers = [Loopback(choices("a")), Loopback(choices("a"))]

    async def ask(client: Client, *turns: str) -> list[bool]:
        roles = ("user", "assistant", "user")
        messages = [{"role": role, "content": turn} for role, turn in zip(roles, turns, strict=False)]
        before = [len(server.bodies) for server in servers]
        assert (await client.post(CHAT, {"model": "m@bon-1", "messages": messages})).status == 200
        return [len(server.bodies) > count for server, count in zip(servers, before, strict=True)]

    async with servers[0].up() as first, servers[1].up() as second:
        policy = OpenAIPolicy([first, second], "m")
        async with served(policy) as client:
            asked_first = [await ask(client, f"question {number}") for number in range(20)]
            later = [await ask(client, f"question {number}", "answer", "more") for number in range(20)]
        await policy.aclose()
    assert asked_first == later
    assert [True, False] in asked_first
    assert [False, True] in asked_first


async def test_a_stream_is_passed_on_chunk_by_chunk() -> None:
    server = Streaming()
    async with passing(server) as client:
        body = asked(model="m@off", stream=True)
        async with client.session.post(client.url + CHAT, json=body) as reply:
            assert await reply.content.readany() == CHUNKS[0]
            server.go.set()
            assert await reply.read() == b"".join(CHUNKS[1:])


async def test_a_client_that_leaves_a_stream_ends_it_upstream() -> None:
    server = Streaming()
    async with passing(server) as client:
        body = asked(model="m@off", stream=True)
        async with client.session.post(client.url + CHAT, json=body) as reply:
            await reply.content.readany()
            assert server.open == 1
            reply.close()
        await until(lambda: not server.open)


async def test_a_refusal_is_passed_on_and_a_failure_is_503_without_address_or_key() -> None:
    refusal = {"error": {"message": "bad top_k", "type": "BadRequestError"}}
    async with passing(Streaming(400, refusal)) as client:
        reply = await client.chat(model="m@off")
        assert (reply.status, reply.json) == (400, refusal)
    for status in (401, 404, 500):
        server = Streaming(status, {"error": {"message": "key refused"}})
        async with passing(server) as client:
            reply = await client.chat(model="m@off")
            assert reply.status == 503
            assert str(server.port) not in reply.text
            assert "TPO_API_KEY" not in reply.text


async def test_a_server_that_asks_for_fewer_requests_is_429_with_its_own_seconds() -> None:
    server = Streaming(429, {"error": {"message": "slow down"}})
    server.headers = {"Retry-After": "7"}
    async with passing(server) as client:
        reply = await client.chat(model="m@off")
    assert (reply.status, reply.headers["Retry-After"]) == (429, "7")
    assert str(server.port) not in reply.text


async def test_a_stream_that_breaks_off_upstream_ends_with_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Streaming()
    async with passing(server) as client:
        body = asked(model="m@off", stream=True)
        async with client.session.post(client.url + CHAT, json=body) as reply:
            assert await reply.content.readany() == CHUNKS[0]
            server.breaks = True
            server.go.set()
            (event,) = [line for line in (await reply.text()).splitlines() if line]
        failed = json.loads(event.removeprefix("data: "))["error"]
        assert (failed["type"], str(server.port) in event) == ("overloaded_error", False)
        assert 'tpo:request_error_total{status="503"} 1.0' in (await client.get("/metrics")).text
    assert "broke off" in caplog.text
    assert "Traceback" not in caplog.text


async def test_turns_of_tools_are_passed_on_as_they_are() -> None:
    server = Streaming()
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ]
    async with passing(server) as client:
        assert (await client.chat(model="m@off", messages=turns)).json == server.body
    assert json.dumps(server.requests[0]["messages"]) == json.dumps(turns)
