"""Many queries in their order with bounded concurrency, and one query as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from tpo.errors import ConfigError, DataError, PolicyError, PolicyRefused
from tpo.events import Event, QueryEnded, QueryStarted, TextWritten
from tpo.methods.many import in_order
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import PolicyCall, ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Scope, Trajectory


def optimizer(policy: ScriptedPolicy | None = None) -> Optimizer:
    return Optimizer(policy or ScriptedPolicy(), ScriptedReward(), "bon", sample_size=2)


TEXTS = [f"question {number}" for number in range(20)]


class TestMap:
    def test_trajectories_come_in_the_order_of_the_queries(self) -> None:
        found = list(optimizer().map(TEXTS, concurrency=3))
        assert [trajectory.query.text for trajectory in found] == TEXTS
        assert len({trajectory.query.id for trajectory in found}) == 20

    async def test_it_is_for_asynchronous_code_too_and_takes_an_asynchronous_iterator(self) -> None:
        async def texts() -> AsyncIterator[str]:
            for text in TEXTS:
                yield text

        found = [trajectory.query.text async for trajectory in optimizer().map(texts())]
        assert found == TEXTS

    def test_no_more_are_in_flight_than_the_concurrency(self) -> None:
        three = asyncio.Barrier(3)

        async def together(call: PolicyCall, index: int) -> None:
            if index == 0:
                await three.wait()

        policy = ScriptedPolicy(before=together)
        list(optimizer(policy).map(TEXTS[:18], concurrency=3))
        assert policy.most_in_flight == 3

    def test_queries_are_taken_as_they_are_needed(self) -> None:
        taken: list[str] = []

        def texts() -> Iterator[str]:
            for text in TEXTS:
                taken.append(text)
                yield text

        found = iter(optimizer().map(texts(), concurrency=2))
        next(found)
        assert len(taken) <= 4
        found.close()  # type: ignore[attr-defined]  # it is a generator

    async def test_a_result_comes_as_soon_as_it_is_there(self) -> None:
        seen = asyncio.Event()

        async def texts() -> AsyncIterator[str]:
            yield "first"
            await seen.wait()
            yield "second"

        async with asyncio.timeout(60):
            found = []
            async for trajectory in optimizer().map(texts()):
                found.append(trajectory.query.text)
                seen.set()
        assert found == ["first", "second"]

    async def test_a_source_is_iterated_over_in_one_task(self) -> None:
        place: ContextVar[str] = ContextVar("place")

        async def texts() -> AsyncIterator[str]:
            token = place.set("here")
            async with asyncio.timeout(60):
                for text in TEXTS[:5]:
                    yield text
            place.reset(token)

        assert len([each async for each in optimizer().map(texts(), concurrency=1)]) == 5

    async def test_an_error_of_the_source_is_raised(self) -> None:
        def texts() -> Iterator[str]:
            yield "first"
            raise OSError("the disk is gone")

        policy = ScriptedPolicy()
        with pytest.raises(OSError, match="the disk is gone"):
            async for _ in optimizer(policy).map(texts()):
                pass
        assert policy.in_flight == 0

    def test_a_query_that_fails_is_a_failed_trajectory_among_the_others(self) -> None:
        policy = ScriptedPolicy(lambda call, _: PolicyError("gone") if "1" in str(call.messages) else "a")
        found = list(optimizer(policy).map(["question 1", "question 2"]))
        assert [trajectory.status for trajectory in found] == ["failed", "finished"]

    def test_a_fatal_error_is_raised_and_leaves_nothing_in_flight(self) -> None:
        policy = ScriptedPolicy({"sample": PolicyRefused("wrong key")})
        with pytest.raises(PolicyRefused, match="wrong key"):
            list(optimizer(policy).map(TEXTS))
        assert policy.in_flight == 0

    def test_leaving_the_loop_cancels_what_is_in_flight(self) -> None:
        async def hang(call: PolicyCall, index: int) -> None:
            if call.messages[0]["content"] != TEXTS[0]:
                await asyncio.Event().wait()

        policy = ScriptedPolicy(before=hang)
        for _ in optimizer(policy).map(TEXTS, concurrency=4):
            break
        assert policy.in_flight == 0

    @pytest.mark.parametrize("wrong", [0, -1, "2", 1.5])
    def test_a_concurrency_below_one_is_refused(self, wrong: Any) -> None:
        with pytest.raises(ConfigError, match=f"concurrency is {wrong!r}"):
            optimizer().map(TEXTS, concurrency=wrong)

    @pytest.mark.parametrize("wrong", ["one text", b"bytes", {"role": "user", "content": "Hi."}, None, 3])
    def test_what_is_not_several_queries_is_refused(self, wrong: Any) -> None:
        with pytest.raises(DataError, match="map takes several queries"):
            optimizer().map(wrong)

    async def test_it_may_be_iterated_again(self) -> None:
        async def twice(number: int) -> int:
            return 2 * number

        found = in_order([1, 2, 3], twice, 2)
        assert list(found) == list(found) == [2, 4, 6]


class TestStream:
    def test_events_come_in_order_and_the_trajectory_last(self) -> None:
        *events, trajectory = optimizer().stream("Hi.", id="mine")
        assert isinstance(trajectory, Trajectory)
        assert isinstance(events[0], QueryStarted)
        assert events[-1] == QueryEnded(trajectory)
        assert trajectory.query.id == "mine"

    async def test_it_is_for_asynchronous_code_too(self) -> None:
        found = [event async for event in optimizer().stream("Hi.")]
        assert isinstance(found[-1], Trajectory)

    def test_events_come_while_the_policy_writes(self) -> None:
        go = asyncio.Event()

        async def wait(call: PolicyCall, index: int) -> None:
            if index == 1:
                await go.wait()

        stream = iter(optimizer(ScriptedPolicy(before=wait)).stream("Hi."))
        seen: list[Event | Trajectory] = []
        for event in stream:
            seen.append(event)
            if type(event).__name__ == "CandidateScored":
                break
        assert not any(isinstance(event, QueryEnded) for event in seen)

    def test_pieces_of_text_come_where_the_policy_has_them(self) -> None:
        policy = ScriptedPolicy("one two three")
        stream = optimizer(policy).stream("Hi.", id="q7")
        pieces = [event for event in stream if isinstance(event, TextWritten)]
        first = [event.delta.text for event in pieces if event.delta.index == 0]
        assert first == ["one ", "two ", "three"]
        assert pieces[0].scope == Scope("q7", 0, "sample")

    def test_the_result_is_that_of_run(self) -> None:
        *_, streamed = optimizer().stream("Hi.")
        assert isinstance(streamed, Trajectory)
        assert streamed.pool == optimizer().run("Hi.").pool

    def test_leaving_the_loop_cancels_the_query(self) -> None:
        async def hang(call: PolicyCall, index: int) -> None:
            await asyncio.Event().wait()

        policy = ScriptedPolicy(before=hang)
        for _ in optimizer(policy).stream("Hi."):
            break
        assert policy.in_flight == 0

    def test_an_error_of_the_query_is_raised(self) -> None:
        with pytest.raises(PolicyRefused, match="wrong key"):
            list(optimizer(ScriptedPolicy({"sample": PolicyRefused("wrong key")})).stream("Hi."))
