"""Who is examined, and what the examination has learned so far."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from tpo.config import Settings
from tpo.doctor.finding import Finding
from tpo.http import RetryPolicy
from tpo.methods.method import Method
from tpo.policies.base import Policy
from tpo.rewards.base import Reward
from tpo.types import Query, Trajectory

BRIEF = RetryPolicy(timeout=10.0)
"""For the doctor's own requests: a hiccup is retried, and no more."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A run that is to be: its settings and method, and how its models are had.

    Attributes:
        settings: as for the run.
        recipe: the method.
        policy: makes the policy of settings that name a model; may raise any ``TpoError``.
        reward: makes the reward; likewise.
        data: the data set, if there is one yet.
        golden: a file of golden scores, or a model in this process to compare the reward with.
        api_key, reward_key: those of the policy's servers and of the reward's.
        secrets: texts that no finding may hold.
        seconds: after so long without an end a check has failed.
        now, sleep: the time that passes.
    """

    settings: Settings
    recipe: Method
    policy: Callable[[Settings], Policy]
    reward: Callable[[], Reward]
    data: str | None = None
    golden: str | None = None
    api_key: str | None = field(default=None, repr=False)
    reward_key: str | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    seconds: float = 900.0
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Subject:
    """A policy to be probed by itself: an endpoint's, or the one in this process."""

    name: str
    policy: Policy
    address: str | None = None
    context: int | None = None


@dataclass
class Notes:
    """What the checks so far have found out for those to come."""

    tell: Callable[[Finding], None]
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)
    model: str | None = None
    queries: int | None = None
    longest: int = 0
    """Characters of the longest query that was seen."""
    query: Query | None = None
    """The one that is optimized."""
    subjects: list[Subject] = field(default_factory=list)
    policy: Policy | None = None
    reward: Reward | None = None
    trajectory: Trajectory | None = None
    first_seconds: float = 0.0
    """From the start to the last score of the first samples."""
    step_seconds: float = 0.0

    def close_later(self, thing: Any) -> None:
        """Close *thing* at the end, if it can be closed."""
        close = getattr(thing, "aclose", None)
        if close is not None:
            self.closing.push_async_callback(close)
