"""Stopping rules: when an attempt ends before its last step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from tpo.errors import ConfigError

if TYPE_CHECKING:  # attempts ask rules, so the import at run time goes the other way
    from tpo.methods.attempt import Attempt


class StoppingRule(Protocol):
    """A rule that works with every method."""

    @property
    def name(self) -> str:
        """The stop reason in the record."""
        ...

    def should_stop(self, attempt: Attempt) -> bool:
        """Return whether the attempt ends now, before its next step; must not block."""
        ...


@runtime_checkable
class TimedRule(StoppingRule, Protocol):
    """A stopping rule that depends on time: it also ends an attempt inside a call.

    Its decision is kept in the run's journal, so that a resumed run repeats it.
    """

    async def expire(self, attempt: Attempt) -> None:
        """Return when the attempt must end, whatever it is doing."""
        ...


@dataclass(frozen=True)
class TargetReward:
    """Stop when the best reward of the pool is at least *value*."""

    value: float
    name: ClassVar[str] = "target_reward"

    def should_stop(self, attempt: Attempt) -> bool:
        """Return whether a response is good enough."""
        return any(candidate.reward >= self.value for candidate in attempt.pool)


@dataclass(frozen=True)
class Deadline:
    """Stop *seconds* after the query started, inside a call if need be; the best so far is the answer.

    Raises:
        ConfigError: *seconds* is not above 0.
    """

    seconds: float
    sleep: Callable[[float], Awaitable[object]] = field(default=asyncio.sleep, compare=False, repr=False)
    name: ClassVar[str] = "deadline"

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ConfigError(f"a deadline of {self.seconds} seconds: it must be above 0")

    def should_stop(self, attempt: Attempt) -> bool:
        """Return whether the time is over."""
        return attempt.elapsed >= self.seconds

    async def expire(self, attempt: Attempt) -> None:
        """Return when the time is over."""
        await self.sleep(max(0.0, self.seconds - attempt.elapsed))
