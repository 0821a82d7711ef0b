"""Trying again: jittered exponential backoff within a deadline, on a time that is handed in.

Written here and not taken from a retry library, since those keep the waiting to themselves: here a test
brings its own time, a listener learns how long the wait is, and a server's ``Retry-After`` counts.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tpo.http.failures import HttpFailure

T = TypeVar("T")

SILENCE = 1200.0
"""Seconds after which a silent server's request counts as lost.

An answer comes when it is finished, so this must outlast the longest: 32,000 tokens at 27 a second.
"""
DEADLINE = 300.0
"""Seconds from a call's first failure until it is given up: enough for a server to start again."""

OnRetry = Callable[[str, float], None]
"""Hears the reason of a failure and the seconds until the next try."""


@dataclass(frozen=True, slots=True)
class Timekeeper:
    """Time and chance: seconds that pass, and a number in [0, 1) for jitter."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to keep trying. All in seconds.

    The wait doubles from *first* to at most *longest*, each time cut by up to a half at random, so that many
    callers do not come back together. *deadline* counts from a call's first failure, however long the call
    itself took: it should outlast the restart of a server.
    """

    first: float = 0.5
    longest: float = 30.0
    deadline: float = DEADLINE

    def wait(self, failures: int, asked: float | None, chance: float) -> float:
        """Seconds before the next try after *failures* of them; at least what the server *asked* for."""
        doubled = min(self.longest, self.first * 2.0 ** min(failures - 1, 60))
        return doubled * (1 - chance / 2) + (asked or 0.0)


async def persist(
    attempt: Callable[[], Awaitable[T]], patience: Patience, timekeeper: Timekeeper, on_retry: OnRetry
) -> T:
    """What *attempt* gives, tried again after failures that pass.

    Raises:
        HttpFailure: one that does not pass, or the last when patience ends.
    """
    failures = 0
    end = 0.0
    while True:
        try:
            return await attempt()
        except HttpFailure as failure:
            now = timekeeper.now()
            failures += 1
            end = end if failures > 1 else now + patience.deadline
            wait = patience.wait(failures, failure.retry_after, timekeeper.chance())
            if not failure.passes or now + wait > end:
                if failures > 1:
                    failure.reason += f" (given up after {failures} tries)"
                raise
            reason = failure.reason
        on_retry(reason, wait)
        await timekeeper.sleep(wait)
