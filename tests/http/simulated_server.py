"""Callers that retry, an adaptive limit and a scripted server, all in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.simulation.clock import run_virtual

from tpo.http import Balancer, Clock, HttpFailure, RetryPolicy
from tpo.http.adaptive_limit import AdaptiveLimit

Refuses = Callable[[float, int], bool]
"""Whether a request is refused, by the time and the requests in flight."""


@dataclass
class Simulation:
    """*callers* make one request after the other: 1,000 altogether, or as many as end within *seconds*."""

    refuses: Refuses
    callers: int = 64
    seconds: float | None = None
    latency: float = 0.4
    answered_at: list[float] = field(default_factory=list)
    sizes: list[tuple[float, float]] = field(default_factory=list)
    refused_at: list[float] = field(default_factory=list)

    def run(self) -> Simulation:
        """Carry it out."""
        run_virtual(self._all())
        return self

    @property
    def duration(self) -> float:
        """Until the last answer."""
        return self.answered_at[-1]

    def refused(self, start: float, end: float) -> int:
        """Refusals between two times."""
        return sum(start <= at < end for at in self.refused_at)

    def limits(self, start: float, end: float) -> list[float]:
        """The limit at each answer between two times."""
        return [size for at, size in self.sizes if start <= at < end]

    def rate(self, start: float, end: float) -> float:
        """Answers a second."""
        return sum(start <= at < end for at in self.answered_at) / (end - start)

    async def _all(self) -> None:
        loop, luck = asyncio.get_running_loop(), random.Random(7)
        clock = Clock(now=loop.time, sleep=asyncio.sleep, jitter=luck.random)
        limit = AdaptiveLimit(self.callers, clock)
        balancer = Balancer([("server", limit)], retry=RetryPolicy(), clock=clock)
        left = iter(range(1000)) if self.seconds is None else itertools.count()

        async def attempt(limit: AdaptiveLimit) -> None:
            async with limit.slot():
                if self.refuses(loop.time(), limit.in_flight):
                    self.refused_at.append(loop.time())
                    await asyncio.sleep(0.02)
                    raise HttpFailure("busy", passes=True, status=429, retry_after=1.0)
                await asyncio.sleep(self.latency * luck.uniform(0.7, 1.3))

        async def call() -> None:
            for _ in left:
                if self.seconds is not None and loop.time() > self.seconds:
                    return
                await balancer.ask("q", attempt)
                self.answered_at.append(loop.time())
                self.sizes.append((loop.time(), limit.size))

        await asyncio.gather(*(call() for _ in range(self.callers)))


def sporadic(share: float, seed: int = 3) -> Refuses:
    """Refuse a random *share* of the requests."""
    luck = random.Random(seed)
    return lambda now, in_flight: luck.random() < share
