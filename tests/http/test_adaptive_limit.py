"""How the limit finds what a server can bear, on a simulated one and in virtual time."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

import pytest
from benchmarks.simulation.clock import run_virtual

from tests.http.loopback import VirtualTime
from tests.http.simulated_server import Simulation, sporadic
from tpo.http import Clock, HttpFailure
from tpo.http.adaptive_limit import AdaptiveLimit

BUSY = HttpFailure("busy", passes=True, status=429)


class Simulated:
    """A server under full load: *seconds* of a request by how many are in flight and now; None refuses."""

    def __init__(self, most: int, seconds: Callable[[int, float], float | None]) -> None:
        self.most = most
        self.seconds = seconds
        self.refused = self.answered = 0
        self.sizes: list[int] = []

    def run(self, requests: int) -> Simulated:
        run_virtual(self._all(requests))
        return self

    async def _all(self, requests: int) -> None:
        now = asyncio.get_running_loop().time
        limit = AdaptiveLimit(self.most, Clock(now=now))
        numbers = itertools.count()

        async def request() -> None:
            async with limit.slot():
                took = self.seconds(limit.in_flight, now())
                jitter = 0.9 + 0.2 * (next(numbers) * 7919 % 100) / 100
                await asyncio.sleep(0.05 if took is None else took * jitter)
                if took is None:
                    raise BUSY

        async def work() -> None:
            while self.answered < requests:
                try:
                    await request()
                    self.answered += 1
                except HttpFailure:
                    self.refused += 1
                self.sizes.append(int(limit.size))

        await asyncio.gather(*(work() for _ in range(2 * self.most)))
        self.rate = self.answered / now()


def queueing(slots: int) -> Callable[[int, float], float]:
    """A server that works on *slots* requests, a second each; the others wait for their turn."""
    free = [0.0] * slots

    def seconds(_: int, now: float) -> float:
        end = max(heapq.heappop(free), now) + 1.0
        heapq.heappush(free, end)
        return end - now

    return seconds


def test_a_server_that_bears_more_is_given_all_that_is_allowed() -> None:
    done = Simulated(256, lambda in_flight, _: 1.0).run(2000)
    assert done.sizes[-1] == 256
    assert done.sizes.index(256) < 600  # by doubling, not one by one


def test_a_server_whose_requests_slow_a_little_as_a_batch_grows_is_not_held_back() -> None:
    done = Simulated(256, lambda in_flight, _: 1.0 + in_flight / 256).run(4000)
    assert done.sizes[-1] > 200


def test_a_server_that_queues_is_given_a_queue_that_does_not_grow() -> None:
    slots = 48
    done = Simulated(512, queueing(slots)).run(6000)
    settled = done.sizes[len(done.sizes) // 2 :]
    assert slots * 0.75 <= min(settled) <= max(settled) <= slots * 3.5
    assert done.rate > 0.8 * slots


@pytest.mark.parametrize("limit", [1, 4, 20, 100])
def test_a_server_that_refuses_is_soon_refused_seldom(limit: int) -> None:
    done = Simulated(256, lambda in_flight, _: None if in_flight > limit else 1.0).run(3000)
    assert done.refused < 0.15 * done.answered + 100
    assert done.rate > 0.6 * limit
    assert done.sizes[-1] <= limit + 2


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("share", "factor"), [(0.02, 1.5), (0.05, 2.0), (0.08, 2.0), (0.1, 2.4), (0.15, 3.0)]
)
def test_sporadic_refusals_cost_little(share: float, factor: float, seed: int) -> None:
    faultless = Simulation(sporadic(0.0)).run().duration
    assert Simulation(sporadic(share, seed)).run().duration < factor * faultless


@pytest.mark.parametrize(("latency", "seed"), [(0.1, 1), (0.4, 1), (0.4, 2), (0.4, 3), (1.0, 1), (1.0, 2)])
def test_throughput_recovers_after_a_burst_of_refusals(latency: float, seed: int) -> None:
    bad = sporadic(0.3, seed)
    done = Simulation(
        lambda now, in_flight: 30.0 <= now < 60.0 and bad(now, in_flight), latency=latency, seconds=95.0
    ).run()
    assert done.refused(30.0, 60.0) > 20
    ideal = latency / (latency + 0.6)  # a call is refused 0.43 times, and then waits for 1.4 s
    assert done.rate(30.0, 60.0) > 0.4 * ideal * done.rate(10.0, 30.0)
    assert done.rate(80.0, 90.0) > 0.9 * done.rate(10.0, 30.0)


def test_a_limit_of_one_grows_again() -> None:
    done = Simulation(lambda now, in_flight: now < 30.0 and in_flight > 1, latency=0.4, seconds=90.0).run()
    assert max(done.limits(25.0, 30.0)) < 4
    assert done.limits(85.0, 90.0)[-1] == 64


def test_a_real_limit_of_ten_is_found_and_tried_seldom() -> None:
    done = Simulation(lambda _, in_flight: in_flight > 10, latency=1.0, seconds=400.0).run()
    assert 7 < min(done.limits(50.0, 400.0)) <= max(done.limits(50.0, 400.0)) < 13
    assert done.rate(50.0, 400.0) > 9
    assert done.refused(200.0, 400.0) < 40  # held 16 times as long as at first; about 200 if it were not


@pytest.mark.parametrize(("lifted", "found"), [(60.0, 60.0), (100.0, 70.0), (300.0, 80.0)])
def test_a_limit_that_is_lifted_is_found_out(lifted: float, found: float) -> None:
    done = Simulation(
        lambda now, in_flight: now < lifted and in_flight > 10, latency=1.0, seconds=lifted + found + 10
    ).run()
    assert max(done.limits(20.0, lifted)) < 13
    assert min(done.limits(lifted + found, lifted + found + 10)) == 64


async def test_idle_time_counts_for_no_throughput() -> None:
    time = VirtualTime()
    limit = AdaptiveLimit(32, time.clock)

    async def request() -> None:
        async with limit.slot():
            await asyncio.sleep(0)

    for together in (16, 32):
        for _ in range(20):
            requests = asyncio.gather(*(request() for _ in range(together)))
            await asyncio.sleep(0)
            time.seconds += 1.0
            await requests
            time.seconds += 100.0 if together == 32 else 0.0
    assert limit.size == 32  # twice as many brought twice as much, and so nothing was taken for saturation


async def test_refusals_of_one_burst_count_once() -> None:
    limit, release = AdaptiveLimit(32, Clock()), asyncio.Event()

    async def request() -> None:
        async with limit.slot():
            await release.wait()
            raise BUSY

    calls = [asyncio.ensure_future(request()) for _ in range(32)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert int(limit.size) == 22
    assert limit.in_flight == 0


def limit_of(most: int) -> AdaptiveLimit:
    return AdaptiveLimit(most, VirtualTime().clock)


async def test_no_more_are_in_flight_than_allowed_and_they_come_in_order() -> None:
    limit, started, release = limit_of(2), [], asyncio.Event()

    async def request(number: int) -> None:
        async with limit.slot():
            started.append(number)
            await release.wait()

    calls = [asyncio.ensure_future(request(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert started == [0, 1]
    release.set()
    await asyncio.gather(*calls)
    assert started == [0, 1, 2, 3, 4]
    assert limit.in_flight == 0


async def test_places_are_given_back_by_whoever_fails_leaves_or_never_came_in() -> None:
    limit, release = limit_of(1), asyncio.Event()

    async def request(failure: Exception | None = None) -> None:
        async with limit.slot():
            await release.wait()
            if failure is not None:
                raise failure

    inside = asyncio.ensure_future(request(BUSY))
    gone = asyncio.ensure_future(request())
    waiting = asyncio.ensure_future(request(ValueError()))
    for _ in range(3):
        await asyncio.sleep(0)
    gone.cancel()
    release.set()
    results = await asyncio.gather(inside, gone, waiting, return_exceptions=True)
    assert [type(result) for result in results] == [HttpFailure, asyncio.CancelledError, ValueError]
    assert limit.in_flight == 0
    await request()


async def test_a_call_admitted_and_cancelled_in_one_turn_gives_its_place_on() -> None:
    limit, release = limit_of(1), asyncio.Event()

    async def request() -> None:
        async with limit.slot():
            await release.wait()

    inside, admitted, last = (asyncio.ensure_future(request()) for _ in range(3))
    await asyncio.sleep(0)
    inside.cancel()
    await asyncio.sleep(0)  # inside has left, and admitted was let in
    admitted.cancel()
    release.set()
    await asyncio.gather(inside, admitted, return_exceptions=True)
    await asyncio.wait_for(last, 60)
    assert limit.in_flight == 0
