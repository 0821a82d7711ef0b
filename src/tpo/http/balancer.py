"""Sticky load balancing over servers of one model, with the only retry loop there is for servers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, TypeVar

from tpo.errors import ConfigError
from tpo.http.failures import BUSY, HttpFailure
from tpo.http.outage import Outage
from tpo.http.retry import Backoff, Clock, OnRetry, RetryPolicy

Member = TypeVar("Member")
Answer = TypeVar("Answer")


FORGIVEN_SECONDS = 60.0
"""For how long an ambiguous failure of a server that has answered before counts as passing."""
CROWDED = 16
"""Calls in flight to a server beyond twice those of the idlest, above which a key that spreads goes on."""


@dataclass(slots=True)
class _Health:
    """Consecutive ``failures``, the time ``since`` the last, and ``until`` when the server rests.

    ``in_flight`` are the calls that it has not answered yet.
    """

    failures: int = 0
    since: float = -math.inf
    until: float = -math.inf
    in_flight: int = 0
    answered_at: float = -math.inf
    ambiguous_since: float | None = None

    def recover(self) -> None:
        """Forget what failed."""
        self.failures, self.since, self.until = 0, -math.inf, -math.inf


def ignore(reason: str, delay: float) -> None:
    """Do nothing on a retry."""
    del reason, delay


class Balancer(Generic[Member]):
    """Sends each key to one of *members* (by name) for as long as that one is healthy.

    A key's order of members comes from hashes of key and name (rendezvous hashing): keys spread evenly, the
    same in every process, and when a member is left out only its own keys move. After a failure that passes,
    or when it cannot be reached, a member rests, longer after each consecutive failure, and its keys go to
    the next in their order; then a single call probes it, and if that succeeds the others return. When no
    member answers, the round is repeated as *retry* says.

    Raises:
        ConfigError: there is no member, or one is named twice.
    """

    def __init__(
        self,
        members: Sequence[tuple[str, Member]],
        *,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.members = dict(members)
        if not members or len(self.members) < len(members):
            names = ", ".join(name for name, _ in members)
            raise ConfigError(f"name each server once, and at least one; given: {names or 'none'}")
        self._health = {name: _Health() for name in self.members}
        self._retry = retry or RetryPolicy()
        self._clock = clock or Clock()
        self._outage = Outage(self._retry, self._clock)

    def order(self, key: str, *, spreads: bool = False) -> list[str]:
        """Return the members' names in the order in which *key* tries them: healthy ones first.

        If it *spreads*, as one of many clients' calls, a member with far more calls in flight than another
        comes later.
        """
        if len(self.members) == 1:
            return list(self.members)
        now = self._clock.now()
        healthy = (health.in_flight for health in self._health.values() if health.until <= now)
        most = CROWDED + 2 * min(healthy, default=0)

        def place(name: str) -> tuple[float, bool, bytes]:
            health = self._health[name]
            return max(0.0, health.until - now), spreads and health.in_flight > most, _rank(key, name)

        return sorted(self.members, key=place)

    async def ask(
        self,
        key: str,
        attempt: Callable[[Member], Awaitable[Answer]],
        on_retry: OnRetry = ignore,
        *,
        is_proof: bool = True,
        spreads: bool = False,
    ) -> Answer:
        """Return what *attempt* gives for the first member in the order of *key* that answers.

        *is_proof*: an answer proves that the server takes the key and knows the model, as a list of models
        does not; from then on ambiguous failures pass for a while. *spreads*: as for :meth:`order`.

        Raises:
            HttpFailure: the request itself was refused, or no member answered in time.
        """
        backoff = Backoff(self._retry, self._clock)
        while True:
            if not self._outage.admits(backoff):
                await self._wait(backoff, self._outage.as_failure(), ignore)
                continue
            failures: list[HttpFailure] = []
            try:
                for name in self.order(key, spreads=spreads):
                    if failures:
                        on_retry(failures[-1].reason, 0.0)
                    started = self._begin(name)
                    try:
                        with self._counted(name):
                            answer = await attempt(self.members[name])
                    except HttpFailure as failure:
                        failures.append(failure)
                        if not self._passes(name, failure, started):
                            failures = [failure]
                            break
                    else:
                        self._succeed(name, is_proof=is_proof)
                        return answer
            finally:
                self._outage.end(backoff)
            # One that has answered before may come back; if none ever did, the first failure says what is
            # wrong.
            worst = next((failure for failure in failures if failure.passes), failures[0])
            if worst.passes:
                self._outage.failed(key, worst)
            await self._wait(backoff, worst, on_retry)

    async def _wait(self, backoff: Backoff, failure: HttpFailure, on_retry: OnRetry) -> None:
        try:
            await backoff.wait(failure, on_retry)
        except HttpFailure as last:
            self._outage.judge(last)
            raise

    @contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        self._health[name].in_flight += 1
        try:
            yield
        finally:
            self._health[name].in_flight -= 1

    def _begin(self, name: str) -> float:
        """Return the time; where this call probes a rested member, the others wait for its result."""
        health, now = self._health[name], self._clock.now()
        if health.failures and now >= health.until:
            health.until = now + self._retry.delay(health.failures, None, self._clock.jitter())
        return now

    def _succeed(self, name: str, *, is_proof: bool) -> None:
        health = self._health[name]
        health.recover()
        if is_proof:
            health.answered_at, health.ambiguous_since = self._clock.now(), None
        self._outage.answered()

    def _passes(self, name: str, failure: HttpFailure, started: float) -> bool:
        """Return whether another server, or a later attempt, may bring what *failure* did not."""
        if failure.ambiguous:
            self._forgive(name, failure)
        if failure.passes or failure.unreachable:
            self._rest(name, failure, started)
            return True
        self._health[name].recover()  # a server that refuses is up
        self._outage.answered()
        return False

    def _forgive(self, name: str, failure: HttpFailure) -> None:
        """Let an ambiguous failure pass for a while, or for as long as another server answers."""
        health, now = self._health[name], self._clock.now()
        if health.answered_at == -math.inf:
            return
        since = health.ambiguous_since = now if health.ambiguous_since is None else health.ambiguous_since
        others = (other.answered_at for other in self._health.values())
        if now - since <= min(FORGIVEN_SECONDS, self._retry.timeout) or max(others) > since:
            failure.passes, failure.fatal = True, False

    def _rest(self, name: str, failure: HttpFailure, started: float) -> None:
        health, now = self._health[name], self._clock.now()
        if started <= health.since:
            return  # many calls met one and the same failure
        if failure.status not in BUSY:
            health.failures, health.since = health.failures + 1, now
        delay = self._retry.delay(max(1, health.failures), failure.retry_after, self._clock.jitter())
        health.until = max(health.until, now + delay)


def _rank(key: str, name: str) -> bytes:
    return blake2b(f"{name}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


async def close_all(parts: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Close every one of *parts*; the first error is raised when all are closed."""
    results = await asyncio.gather(*(part() for part in parts), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
