"""Several servers of one model."""

import asyncio
from contextlib import AsyncExitStack
from typing import Self

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from tests.http.loopback import Answer, Loopback, VirtualTime, choices
from tests.policies.asked import error
from tpo.errors import PolicyError, PolicyRefused
from tpo.events import CallRetried, Event, LimitChanged
from tpo.policies import OpenAIPolicy
from tpo.types import Sampling, Scope, user


class Several:
    """Three scripted servers, some of which are down, and the time in which they are asked."""

    def __init__(self, *answers: Answer) -> None:
        self.loopbacks = [Loopback(answer) for answer in answers]
        self.time = VirtualTime()
        self.events: list[Event] = []

    async def __aenter__(self) -> Self:
        self.stack = AsyncExitStack()
        self.urls = [await self.stack.enter_async_context(one.up()) for one in self.loopbacks]
        self.policy = OpenAIPolicy(self.urls, "m", listener=self.events.append, clock=self.time.clock)
        self.stack.push_async_callback(self.policy.aclose)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    async def home(self, query: str) -> str:
        """Who answers *query*."""
        scope = Scope(query, 0, "sample")
        completions = [c async for c in self.policy.sample((user("hi"),), Sampling(), scope)]
        assert completions[0].served is not None
        return completions[0].served.by


async def test_a_query_stays_with_its_server_and_queries_are_spread() -> None:
    async with Several(choices("a"), choices("b"), choices("c")) as several:
        # Which query goes where depends on the servers' ports.
        homes = {f"q{i}": await several.home(f"q{i}") for i in range(80)}
        assert set(homes.values()) == set(several.urls)
        assert {query: await several.home(query) for query in homes} == homes


async def test_what_one_server_fails_at_another_does_at_once_and_that_is_heard() -> None:
    async with Several(choices("a"), error(500, "engine dead"), choices("c")) as several:
        homes = {await several.home(f"q{i}") for i in range(80)}
        assert homes == {several.urls[0], several.urls[2]}
        assert several.time.waits == []
        heard = [event for event in several.events if isinstance(event, CallRetried)]
        assert heard
        assert all("engine dead" in event.reason and event.wait == 0 for event in heard)


async def test_a_check_starts_without_a_server_that_is_down_and_not_without_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Loopback(choices("a")).up() as up:
        down = f"http://127.0.0.1:{unused_port()}/v1"
        policy = OpenAIPolicy([down, up], clock=VirtualTime().clock)
        await policy.check()
        assert f"no server answers at {down}" in caplog.text
        assert "the run starts without it" in caplog.text
        await policy.aclose()
    policy = OpenAIPolicy([down, up], "m", clock=VirtualTime().clock)
    with pytest.raises(PolicyError, match="no server answers"):
        await policy.check()
    await policy.aclose()


async def test_a_check_of_several_names_the_one_without_the_model() -> None:
    async with (
        Loopback(choices("a"), models=Answer({"data": [{"id": "m"}]})).up() as good,
        Loopback(error(404, "no model"), models=Answer({"data": [{"id": "x"}]})).up() as other,
    ):
        policy = OpenAIPolicy([good, other], "m")
        with pytest.raises(PolicyRefused, match=f"{other} has no model 'm'; it serves 'x'"):
            await policy.check()
        await policy.aclose()


async def test_no_more_requests_are_in_flight_to_a_server_than_allowed() -> None:
    three = asyncio.Barrier(3)

    class Counting(Loopback):
        in_flight = most = 0

        async def handle(self, request: web.Request) -> web.StreamResponse:
            self.in_flight += 1
            self.most = max(self.most, self.in_flight)
            if request.path != "/v1/models":
                await three.wait()
            self.in_flight -= 1
            return await super().handle(request)

    loopback = Counting(choices("a"))
    async with loopback.up() as url:
        policy = OpenAIPolicy(url, "m", most=3)
        scopes = [Scope(f"q{number}", 0, "sample") for number in range(12)]
        calls = [policy.sample((user("hi"),), Sampling(), scope) for scope in scopes]
        await asyncio.gather(*(anext(call) for call in calls))
        await policy.aclose()
    assert loopback.most == 3


async def test_a_servers_limit_is_told_when_it_changes() -> None:
    events: list[Event] = []
    full = asyncio.Barrier(32)

    class Full(Loopback):
        async def handle(self, request: web.Request) -> web.StreamResponse:
            reply = await super().handle(request)
            if request.path != "/v1/models" and len(self.bodies) <= 32:
                await full.wait()
            return reply

    async with Full(choices("a")).up() as url:
        policy = OpenAIPolicy(url, "m", listener=events.append)
        scopes = [Scope(f"q{number}", 0, "sample") for number in range(80)]
        calls = [policy.sample((user("hi"),), Sampling(), scope) for scope in scopes]
        await asyncio.gather(*(anext(call) for call in calls))
        await policy.aclose()
    limits = [event for event in events if isinstance(event, LimitChanged)]
    assert limits[:2] == [LimitChanged(url, 33), LimitChanged(url, 34)]
