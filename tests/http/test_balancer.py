"""Which of several servers a query goes to, and what happens when one is gone."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.http.loopback import VirtualTime
from tpo.errors import ConfigError
from tpo.http import HttpFailure, RetryPolicy
from tpo.http.balancer import CROWDED, Balancer

GONE = HttpFailure("gone", passes=True, unreachable=True)
REFUSED = HttpFailure("too long", status=400)
NEVER_UP = HttpFailure("nobody there", fatal=True, unreachable=True)


class Servers:
    """Three members that answer with their name, or fail as they are told to."""

    def __init__(self, **failures: HttpFailure) -> None:
        self.failures = failures
        self.asked: list[str] = []
        self.time = VirtualTime()
        self.balancer = Balancer(
            [(name, name) for name in "abc"], retry=RetryPolicy(timeout=100.0), clock=self.time.clock
        )

    async def attempt(self, name: str) -> str:
        self.asked.append(name)
        if name in self.failures:
            raise self.failures[name]
        return name

    async def ask(self, key: str) -> str:
        return await self.balancer.ask(key, self.attempt)


async def test_a_key_stays_with_its_server_and_keys_are_spread() -> None:
    servers = Servers()
    first = {str(key): await servers.ask(str(key)) for key in range(300)}
    again = {str(key): await servers.ask(str(key)) for key in range(300)}
    assert first == again
    assert all(70 < count < 130 for count in Counter(first.values()).values())


@pytest.mark.parametrize("spreads", [True, False])
async def test_only_a_key_that_spreads_leaves_its_server_where_far_more_calls_wait(spreads: bool) -> None:
    servers, go = Servers(), asyncio.Event()

    async def attempt(name: str) -> str:
        servers.asked.append(name)
        await go.wait()
        return name

    calls = [
        asyncio.create_task(servers.balancer.ask("one", attempt, spreads=spreads)) for _ in range(3 * CROWDED)
    ]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(*calls)
    (own, most), *others = Counter(servers.asked).most_common()
    assert CROWDED < most < 2 * CROWDED if spreads else most == 3 * CROWDED
    assert bool(others) == spreads
    assert await servers.ask("one") == own


async def test_only_the_keys_of_a_dead_server_move_and_they_come_back() -> None:
    servers = Servers()
    before = {str(key): await servers.ask(str(key)) for key in range(60)}
    servers.failures["b"] = GONE
    during = {key: await servers.ask(key) for key in before}
    assert all(during[key] == home for key, home in before.items() if home != "b")
    assert "b" not in during.values()
    assert servers.asked.count("b") < 30  # it is left alone while it rests
    del servers.failures["b"]
    servers.time.seconds += 60.0
    assert {key: await servers.ask(key) for key in before} == before
    assert servers.time.waits == []


async def test_a_server_that_keeps_failing_rests_longer_each_time() -> None:
    servers = Servers(b=GONE)
    key = next(str(key) for key in range(60) if servers.balancer.order(str(key))[0] == "b")
    for _ in range(200):
        await servers.ask(key)
        servers.time.seconds += 0.5
    assert servers.asked.count("b") < 12


async def test_when_none_answers_the_round_is_repeated_until_one_does() -> None:
    servers = Servers(a=GONE, b=GONE, c=GONE)

    async def attempt(name: str) -> str:
        if servers.time.seconds > 5.0:
            servers.failures.pop("c", None)
        return await servers.attempt(name)

    assert await servers.balancer.ask("q", attempt) == "c"
    assert servers.time.waits


async def test_when_patience_ends_the_last_failure_is_raised() -> None:
    servers = Servers(a=GONE, b=GONE, c=GONE)
    with pytest.raises(HttpFailure, match="gone"):
        await servers.ask("q")
    assert servers.time.seconds <= 100.0


async def test_servers_that_were_never_up_are_not_waited_for() -> None:
    servers = Servers(a=NEVER_UP, b=NEVER_UP, c=NEVER_UP)
    with pytest.raises(HttpFailure, match="nobody there"):
        await servers.ask("q")
    assert sorted(servers.asked) == ["a", "b", "c"]
    assert servers.time.waits == []


async def test_what_one_server_refuses_is_not_tried_on_the_others() -> None:
    servers = Servers(a=REFUSED, b=REFUSED, c=REFUSED)
    with pytest.raises(HttpFailure, match="too long"):
        await servers.ask("q")
    assert len(servers.asked) == 1


def test_no_server_or_one_twice_is_refused() -> None:
    with pytest.raises(ConfigError):
        Balancer[str]([])
    with pytest.raises(ConfigError):
        Balancer([("a", 1), ("a", 2)])


async def test_one_call_tries_a_rested_server_again_while_the_others_stay_away() -> None:
    servers = Servers(b=GONE)
    key = next(str(key) for key in range(60) if servers.balancer.order(str(key))[0] == "b")
    await servers.ask(key)
    servers.time.seconds += 5.0
    release = asyncio.Event()

    async def slow(name: str) -> str:
        servers.asked.append(name)
        if name == "b":
            await release.wait()
        return name

    probe = asyncio.ensure_future(servers.balancer.ask(key, slow))
    await asyncio.sleep(0)
    assert await servers.balancer.ask(key, slow) != "b"
    release.set()
    assert await probe == "b"
    assert await servers.balancer.ask(key, slow) == "b"


async def test_a_busy_server_is_passed_over_but_not_taken_for_dead() -> None:
    servers = Servers(b=HttpFailure("busy", passes=True, status=429, retry_after=3.0))
    key = next(str(key) for key in range(60) if servers.balancer.order(str(key))[0] == "b")
    heard: list[float] = []
    assert await servers.balancer.ask(key, servers.attempt, lambda _, wait: heard.append(wait)) != "b"
    assert heard == [0.0]
    assert servers.balancer.order(key)[0] != "b"
    servers.time.seconds += 4.0
    assert servers.balancer.order(key)[0] == "b"


async def test_a_server_that_refuses_a_request_counts_as_there_again() -> None:
    servers = Servers(b=GONE)
    key = next(str(key) for key in range(60) if servers.balancer.order(str(key))[0] == "b")
    await servers.ask(key)
    servers.failures["b"] = REFUSED
    servers.time.seconds += 5.0
    with pytest.raises(HttpFailure, match="too long"):
        await servers.ask(key)
    del servers.failures["b"]
    assert await servers.ask(key) == "b"


async def home_of(servers: Servers, name: str) -> str:
    """A key that goes to the server *name* first, whose answers are proven."""
    for key in map(str, range(60)):
        await servers.ask(key)
    return next(str(key) for key in range(60) if servers.balancer.order(str(key))[0] == name)


async def test_a_server_that_is_busy_again_and_again_rests_no_longer_each_time() -> None:
    servers = Servers(b=HttpFailure("busy", passes=True, status=429))
    key = next(str(key) for key in range(60) if servers.balancer.order(str(key))[0] == "b")
    for _ in range(8):
        await servers.ask(key)
        assert servers.balancer.order(key)[0] != "b"
        servers.time.seconds += 0.6
        assert servers.balancer.order(key)[0] == "b"


async def test_a_failure_of_many_calls_at_once_is_one_failure() -> None:
    servers = Servers(b=GONE)
    key = next(str(key) for key in range(60) if servers.balancer.order(str(key))[0] == "b")
    down = asyncio.Event()

    async def attempt(name: str) -> str:
        await down.wait()
        return await servers.attempt(name)

    calls = [asyncio.ensure_future(servers.balancer.ask(key, attempt)) for _ in range(20)]
    await asyncio.sleep(0)
    servers.time.seconds += 1.0
    down.set()
    assert "b" not in await asyncio.gather(*calls)
    servers.time.seconds += 0.6  # the rest after one failure; after twenty it is 30 s
    assert servers.balancer.order(key)[0] == "b"


def unknown() -> HttpFailure:
    return HttpFailure("no such path", status=404, fatal=True, ambiguous=True)


async def test_an_odd_status_of_a_server_that_never_answered_is_fatal() -> None:
    servers = Servers(a=unknown(), b=unknown(), c=unknown())
    with pytest.raises(HttpFailure) as caught:
        await servers.ask("q")
    assert caught.value.fatal
    assert servers.time.waits == []


async def test_a_list_of_models_proves_nothing() -> None:
    servers = Servers()
    for key in map(str, range(60)):
        await servers.balancer.ask(key, servers.attempt, is_proof=False)
    for name in "abc":
        servers.failures[name] = unknown()
    with pytest.raises(HttpFailure) as caught:
        await servers.ask("q")
    assert caught.value.fatal


async def test_an_odd_status_of_one_of_several_servers_lets_it_rest_for_as_long_as_others_answer() -> None:
    servers = Servers()
    key = await home_of(servers, "b")
    for _ in range(40):
        servers.failures["b"] = unknown()
        assert await servers.ask(key) != "b"
        servers.time.seconds += 20.0
    assert servers.time.waits == []
    del servers.failures["b"]
    assert await servers.ask(key) == "b"


async def test_an_odd_status_of_all_servers_ends_after_a_minute() -> None:
    servers = Servers()
    key = await home_of(servers, "b")
    started = servers.time.seconds

    async def attempt(name: str) -> str:
        raise unknown()

    with pytest.raises(HttpFailure, match=r"no such path \(given up after") as caught:
        await servers.balancer.ask(key, attempt)
    assert caught.value.fatal
    assert 60.0 < servers.time.seconds - started < 100.0
