"""Retries with jittered exponential backoff, on an injected clock.

Not a retry library: those hide the waits, and here tests bring their own time, a listener hears of every
wait, and a server's ``Retry-After`` counts.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tpo.events import CallRetried, Event, Listener
from tpo.http.failures import HttpFailure
from tpo.types import Scope

log = logging.getLogger(__name__)

READ_TIMEOUT = 1200.0
"""Seconds without a byte after which a request counts as lost.

A reply is sent when it is finished, so this must outlast the longest: 32,000 tokens at 27 a second.
"""
RETRY_TIMEOUT = 300.0
"""Seconds from a call's first failure until it is given up: enough for a server to restart."""

OnRetry = Callable[[str, float], None]
"""Receives the reason of a failure and the seconds until the next attempt."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and randomness: seconds, a sleep, and a number in [0, 1) for jitter."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    jitter: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retry policy: exponential backoff with a total timeout. All in seconds.

    The delay doubles from *initial* to at most *longest*; up to half of each is cut at random, so that
    callers do not return together. *timeout* counts from a call's first failure, however long the call itself
    took: it should outlast the restart of a server.
    """

    initial: float = 0.5
    longest: float = 30.0
    timeout: float = RETRY_TIMEOUT

    def delay(self, failures: int, retry_after: float | None, jitter: float) -> float:
        """Return the seconds until the next attempt after *failures*, *retry_after* coming on top."""
        doubled = min(self.longest, self.initial * 2.0 ** min(failures - 1, 60))
        return doubled * (1 - jitter / 2) + (retry_after or 0.0)


class Backoff:
    """The failures of one call: waits before its next attempt, or gives it up."""

    __slots__ = ("_clock", "_end", "_policy", "failures")

    def __init__(self, policy: RetryPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._end = 0.0
        self.failures = 0

    async def wait(self, failure: HttpFailure, on_retry: OnRetry) -> None:
        """Return when it is time for the next attempt; one that the server wants too late is made earlier.

        Raises:
            HttpFailure: *failure*, which does not pass, or whose delay would end after the timeout.
        """
        now, self.failures = self._clock.now(), self.failures + 1
        if self.failures == 1:
            self._end = now + self._policy.timeout
        delay = self._policy.delay(self.failures, None, self._clock.jitter())
        if not failure.passes or now + delay > self._end:
            if self.failures > 1:
                failure.reason += f" (given up after {self.failures} tries)"
            raise failure
        if failure.retry_after is not None and now + delay + failure.retry_after <= self._end:
            delay += failure.retry_after
        elif failure.retry_after is not None:  # more time than there is: probe until the timeout
            delay = min(max(delay, self._policy.longest), self._end - now)
        on_retry(failure.reason, delay)
        await self._clock.sleep(delay)


def announce_to(listener: Listener | None, scope: Scope) -> OnRetry:
    """Return a callback that sends *listener* a ``CallRetried`` of *scope*."""
    return lambda reason, delay: announce(listener, CallRetried(scope, reason, delay))


def announce(listener: Listener | None, event: Event) -> None:
    """Send *event* to *listener*, if there is one; its errors are logged."""
    if listener is None:
        return
    try:
        listener(event)
    except Exception:
        log.exception("a listener failed on %s", type(event).__name__)
