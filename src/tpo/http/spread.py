"""Several servers of the same model: work is spread over them, and one that fails is left for a while."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, TypeVar

from tpo.errors import ConfigError
from tpo.http.failures import HttpFailure
from tpo.http.patience import OnRetry, Patience, Timekeeper, persist

Member = TypeVar("Member")
Answer = TypeVar("Answer")

AT_ONCE = Patience(deadline=0.0)
"""For a member's own requests: what fails goes to another member before it is waited for."""


BUSY = {429, 529}
"""Statuses of a server that is well, and asks for fewer requests."""


@dataclass(slots=True)
class _Health:
    """``failures`` in a row, the last ``since`` then; left alone ``until`` then."""

    failures: int = 0
    since: float = -math.inf
    until: float = -math.inf


def _silent(reason: str, wait: float) -> None:
    del reason, wait


class Spread(Generic[Member]):
    """*members* by name, each key staying with one of them as long as that one is well.

    A key's order of members comes from hashes of key and name (rendezvous hashing): keys spread evenly, the
    same in every process, and when a member is left only its own keys move. After a failure that passes, or
    when it cannot be reached, a member rests, longer after each failure in a row, and its keys go to the
    next in their order; then a single call tries it again, and if that one is answered the others come back.
    When none answers, the round is repeated within *patience*.

    Raises:
        ConfigError: there is no member, or one is named twice.
    """

    def __init__(
        self,
        members: Sequence[tuple[str, Member]],
        *,
        patience: Patience | None = None,
        timekeeper: Timekeeper | None = None,
    ) -> None:
        self.members = dict(members)
        if not members or len(self.members) < len(members):
            names = ", ".join(name for name, _ in members)
            raise ConfigError(f"name each server once, and at least one; given: {names or 'none'}")
        self._health = {name: _Health() for name in self.members}
        self._patience = patience or Patience()
        self._timekeeper = timekeeper or Timekeeper()

    def order(self, key: str) -> list[str]:
        """The members' names as *key* tries them: those that are well before those that rest."""
        if len(self.members) == 1:
            return list(self.members)
        now = self._timekeeper.now()
        ranked = sorted(self.members, key=lambda name: _rank(key, name))
        return sorted(ranked, key=lambda name: max(0.0, self._health[name].until - now))

    async def ask(
        self, key: str, attempt: Callable[[Member], Awaitable[Answer]], on_retry: OnRetry = _silent
    ) -> Answer:
        """What *attempt* gives for the first member in the order of *key* that answers.

        Raises:
            HttpFailure: one that concerns the request itself, or no member answered.
        """
        return await persist(
            lambda: self._round(key, attempt, on_retry), self._patience, self._timekeeper, on_retry
        )

    async def _round(
        self, key: str, attempt: Callable[[Member], Awaitable[Answer]], on_retry: OnRetry
    ) -> Answer:
        failures: list[HttpFailure] = []
        for name in self.order(key):
            if failures:
                on_retry(failures[-1].reason, 0.0)
            started = self._begin(name)
            try:
                answer = await attempt(self.members[name])
            except HttpFailure as failure:
                if not (failure.passes or failure.unreachable):
                    self._health[name] = _Health()  # whoever refuses is there
                    raise
                self._rest(name, failure, started)
                failures.append(failure)
            else:
                self._health[name] = _Health()
                return answer
        # One that has answered before may come back; if none ever did, the first failure says what is wrong.
        raise next((failure for failure in failures if failure.passes), failures[0])

    def _begin(self, name: str) -> float:
        """Now; and where this call is the one that tries a rested member again, the others wait for it."""
        health, now = self._health[name], self._timekeeper.now()
        if health.failures and now >= health.until:
            health.until = now + self._patience.wait(health.failures, None, self._timekeeper.chance())
        return now

    def _rest(self, name: str, failure: HttpFailure, started: float) -> None:
        health, now = self._health[name], self._timekeeper.now()
        if started <= health.since:
            return  # it failed for many calls at once, which is one failure
        if failure.status not in BUSY:
            health.failures, health.since = health.failures + 1, now
        wait = self._patience.wait(max(1, health.failures), failure.retry_after, self._timekeeper.chance())
        health.until = max(health.until, now + wait)


def _rank(key: str, name: str) -> bytes:
    return blake2b(f"{name}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


async def close_all(parts: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Close every one of *parts*, whatever becomes of the others; the first failure is raised at the end."""
    results = await asyncio.gather(*(part() for part in parts), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
