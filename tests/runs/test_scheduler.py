"""Calls wait for room in the server, and go on in the order that ends soonest."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.runs.models import RECIPE
from tpo.errors import ConfigError, PolicyError
from tpo.policies import ScriptedPolicy
from tpo.runs.forecast import planned_calls
from tpo.runs.scheduler import Scheduler
from tpo.types import Completion, Messages, Phase, Sampling, Scope, Usage, user

SCOPE = Scope("q0", 0, "sample")
PLANNED = planned_calls(RECIPE)
SHORT, LONG = 10, 1000
N = 3


class Told:
    """A policy that ends a call when it is told to, with a reply of so many tokens; it notes who began."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tokens: dict[str, int] = {}

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        del messages
        self.began.append(scope.query)
        self.ends[scope.query] = asyncio.Event()
        await self.ends[scope.query].wait()
        for index in range(sampling.n):
            yield Completion(index, "x", usage=Usage(completion_tokens=self.tokens.get(scope.query, SHORT)))


async def settle() -> None:
    for _ in range(9):
        await asyncio.sleep(0)


class Calls:
    """Calls of queries through turns with room for those of one at a time."""

    def __init__(self) -> None:
        self.told = Told()
        self.scheduler = Scheduler(self.told, PLANNED, N)
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, query: str, step: int, phase: Phase) -> None:
        async def call() -> None:
            async for _ in self.scheduler.sample((user("hi"),), Sampling(n=N), Scope(query, step, phase)):
                pass

        self.tasks[query] = asyncio.create_task(call())
        await settle()

    async def end(self, query: str) -> None:
        self.told.ends[query].set()
        await settle()

    async def sampled(self, **tokens: int) -> None:
        """First samples of so many tokens, one query after the other."""
        self.told.tokens = tokens
        for query in tokens:
            await self.begin(query, 0, "sample")
            await self.end(query)
        self.told.began.clear()


async def test_a_call_starts_once_fewer_samples_are_in_flight() -> None:
    calls = Calls()
    await calls.begin("a", 0, "sample")
    await calls.begin("b", 0, "sample")
    assert calls.told.began == ["a"]
    await calls.end("a")
    assert calls.told.began == ["a", "b"]


async def test_who_has_gone_furthest_goes_first_then_who_came_first() -> None:
    calls = Calls()
    await calls.begin("running", 0, "sample")
    places: list[tuple[str, int, Phase]] = [
        ("new", 0, "sample"),
        ("loss", 1, "loss"),
        ("later", 2, "loss"),
        ("too", 1, "loss"),
    ]
    for place in places:
        await calls.begin(*place)
    for query in ("running", "later", "loss", "too", "new"):
        await calls.end(query)
    assert calls.told.began == ["running", "later", "loss", "too", "new"]


async def test_when_no_more_queries_come_first_samples_are_drawn_first() -> None:
    calls = Calls()
    await calls.sampled(known=SHORT)
    await calls.begin("running", 0, "sample")
    await calls.begin("known", 1, "loss")
    await calls.begin("new", 0, "sample")
    calls.scheduler.ending = True
    await calls.end("running")
    assert calls.told.began == ["running", "new"]


@pytest.mark.parametrize(("ending", "next_"), [(True, "long"), (False, "short")])
async def test_a_query_that_would_be_late_goes_first_at_the_end_only(ending: bool, next_: str) -> None:
    calls = Calls()
    await calls.sampled(long=LONG, short=SHORT)
    await calls.begin("running", 0, "sample")
    await calls.begin("long", 1, "loss")
    await calls.begin("short", 1, "gradient")
    calls.scheduler.ending = ending
    await calls.end("running")
    assert calls.told.began == ["running", next_]


async def test_among_many_queries_none_is_late_until_the_others_are_nearly_done() -> None:
    calls = Calls()
    others = [f"q{number}" for number in range(12)]
    await calls.sampled(**dict.fromkeys([*others, "far"], SHORT))
    await calls.begin("running", 0, "sample")
    for query in others:
        await calls.begin(query, 1, "loss")
    await calls.begin("far", 2, "loss")
    calls.scheduler.ending = True
    await calls.end("running")
    assert calls.told.began == ["running", "far"]  # 6 replies to come are few beside 125 for 3 sequences


async def test_queries_that_have_ended_are_not_waited_for() -> None:
    calls = Calls()
    ended = [f"ended{number}" for number in range(4)]
    await calls.sampled(long=LONG, short=SHORT, **dict.fromkeys(ended, LONG * LONG))
    for query in ended:
        await calls.begin(query, 1, "loss")
        await calls.end(query)
        calls.scheduler.end(query)
    calls.told.began.clear()
    await calls.begin("running", 0, "sample")
    await calls.begin("long", 1, "loss")
    await calls.begin("short", 1, "gradient")
    calls.scheduler.ending = True
    await calls.end("running")
    assert calls.told.began == ["running", "long"]


async def cancel_while_it_waits(calls: Calls) -> None:
    calls.tasks["b"].cancel()
    await settle()
    await calls.end("a")


async def cancel_in_its_turn(calls: Calls) -> None:
    calls.told.ends["a"].set()
    while calls.scheduler.in_flight:  # until a's sample is there, and b has its place
        await asyncio.sleep(0)
        if calls.tasks["a"].done():
            break
    calls.tasks["b"].cancel()
    await settle()


@pytest.mark.parametrize("cancel", [cancel_while_it_waits, cancel_in_its_turn])
async def test_a_call_that_is_cancelled_keeps_nobody_waiting(
    cancel: Callable[[Calls], Awaitable[None]],
) -> None:
    calls = Calls()
    for query in ("a", "b", "c"):
        await calls.begin(query, 0, "sample")
    await cancel(calls)
    assert calls.told.began[-1] == "c"
    await calls.end("c")
    assert calls.scheduler.in_flight == 0
    assert calls.scheduler.is_free


async def test_a_call_that_fails_or_is_left_counts_no_longer() -> None:
    scheduler = Scheduler(ScriptedPolicy(failures={SCOPE: PolicyError("no")}), PLANNED, 4)
    with pytest.raises(PolicyError):
        _ = [c async for c in scheduler.sample((user("hi"),), Sampling(n=3), SCOPE)]
    assert scheduler.in_flight == 0
    scheduler = Scheduler(ScriptedPolicy(), PLANNED, 4)
    left = scheduler.sample((user("hi"),), Sampling(n=3), SCOPE)
    async for _ in left:
        break
    await left.aclose()  # type: ignore[attr-defined]  # an async generator is one
    assert scheduler.in_flight == 0


@pytest.mark.parametrize("sequences", [0, -3])
def test_less_than_one_is_refused(sequences: int) -> None:
    with pytest.raises(ConfigError, match="--sequences"):
        Scheduler(ScriptedPolicy(), PLANNED, sequences)
