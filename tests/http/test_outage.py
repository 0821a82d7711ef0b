"""Servers that are gone: the run pauses, probes, and ends with one error, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from benchmarks.simulation.clock import run_virtual

from tpo.http import Balancer, Clock, HttpFailure, RetryPolicy

GONE = 10.0
"""When the server goes away."""
Fault = Callable[[float, str], HttpFailure | None]


@dataclass
class Run:
    """*keys* calls at a time, one second each, until one fails fatally or *seconds* are over."""

    fault: Fault
    keys: int = 64
    seconds: float = 1000.0
    timeout: float = 300.0
    slow: float | None = None
    """Seconds of one more call that begins before the server goes away."""
    attempts: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    failures: list[tuple[float, HttpFailure]] = field(default_factory=list)

    def execute(self) -> Run:
        run_virtual(self._all())
        return self

    async def _all(self) -> None:
        loop = asyncio.get_running_loop()
        clock = Clock(now=loop.time, sleep=asyncio.sleep, jitter=random.Random(1).random)
        balancer = Balancer([("a", "a")], retry=RetryPolicy(timeout=self.timeout), clock=clock)

        async def call(key: str, seconds: float) -> None:
            async def attempt(_: str) -> None:
                self.attempts.append(loop.time())
                await asyncio.sleep(0.01)
                failure = self.fault(loop.time(), key)
                if failure is not None:
                    raise failure
                await asyncio.sleep(seconds)

            try:
                await balancer.ask(key, attempt)
                self.answers.append(loop.time())
            except HttpFailure as failure:
                self.failures.append((loop.time(), failure))

        async def work(key: str) -> None:
            while loop.time() < self.seconds and not any(failure.fatal for _, failure in self.failures):
                await call(key, 1.0)

        slow = [call("slow", self.slow)] if self.slow is not None else []
        await asyncio.gather(*slow, *(work(f"q{number}") for number in range(self.keys)))


def gone(until: float = 1e9) -> Fault:
    """Nothing listens."""
    return lambda now, key: (
        HttpFailure("no server answers", passes=True, unreachable=True) if GONE <= now < until else None
    )


def busy(now: float, key: str) -> HttpFailure | None:
    """Too many requests, for an hour."""
    return HttpFailure("busy", passes=True, status=429, retry_after=3600.0) if now >= GONE else None


@pytest.mark.parametrize("fault", [gone(), busy])
def test_a_server_that_is_gone_for_good_ends_the_run_with_one_error(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(fault).execute()
    at, failure = run.failures[0]
    assert failure.fatal
    assert GONE + 200 < at < GONE + 330
    assert "no server has answered for" in failure.reason
    assert "--retry-timeout" in failure.reason
    assert {each.status for _, each in run.failures} == {429 if fault is busy else None}
    assert all(later.fatal for _, later in run.failures)  # no query failed by itself
    assert len(run.answers) > 9 * 64
    probes = [attempt for attempt in run.attempts if GONE + 60 < attempt < at]
    assert len(probes) < 40  # one at a time, not sixty-four
    (warning,) = caplog.messages
    assert "the run waits" in warning


def test_a_server_that_comes_back_in_time_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    first, second = gone(until=150.0), gone(until=1e9)
    run = Run(
        lambda now, key: second(now, key) if 300.0 <= now < 440.0 else first(now, key), seconds=550.0
    ).execute()
    assert run.failures == []
    assert sum(200.0 < at < 300.0 for at in run.answers) > 90 * 64
    assert sum(at > 500.0 for at in run.answers) > 40 * 64
    waits, resumes, *again = caplog.messages
    assert waits.startswith("no server has answered for 5 s: no server answers; the run waits")
    assert resumes.endswith("the run goes on")
    assert again[0].startswith("no server has answered for 5 s")
    assert len(again) == 2


def test_a_request_that_breaks_the_server_fails_alone() -> None:
    def fault(now: float, key: str) -> HttpFailure | None:
        return HttpFailure("engine dead", passes=True, status=500) if key == "q0" else None

    for keys in (1, 5):
        run = Run(fault, keys=keys, seconds=400.0).execute()
        assert run.failures
        assert not any(failure.fatal for _, failure in run.failures)


def test_requests_that_fail_beside_a_slow_one_fail_alone() -> None:
    def fault(now: float, key: str) -> HttpFailure | None:
        return None if key == "slow" else HttpFailure("engine dead", passes=True, status=500)

    run = Run(fault, keys=2, seconds=400.0, slow=2000.0).execute()
    assert len(run.answers) == 1
    assert not any(failure.fatal for _, failure in run.failures)


def test_without_retries_each_call_fails_by_itself() -> None:
    run = Run(gone(), keys=4, seconds=11.0, timeout=0.0).execute()
    assert run.failures
    assert not any(failure.fatal for _, failure in run.failures)
