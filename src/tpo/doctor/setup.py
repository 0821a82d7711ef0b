"""The setup to check, and the state that checks share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from tpo.config import Settings
from tpo.data.sources import Spec
from tpo.doctor.finding import Finding
from tpo.http import RetryPolicy
from tpo.methods.method import Method
from tpo.policies.base import Policy
from tpo.report.prices import Prices
from tpo.rewards.base import Reward
from tpo.types import Query, Trajectory

BRIEF_RETRY = RetryPolicy(timeout=10.0)
"""Retries of the checks' own requests: a short outage is retried, a longer one is a finding."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The run to check: its settings, its method, and builders of its models.

    Attributes:
        settings: the settings of the run.
        method: the method.
        policy: builds the policy from settings that name a model; may raise any ``TpoError``.
        reward: builds the reward; may raise any ``TpoError``.
        data: the data set, if there is one.
        golden: a file of golden scores, or a model in this process to compare the reward with.
        api_key: API key of the policy's servers.
        reward_key: API key of the reward's servers.
        environment: variables with the keys of other servers.
        secrets: texts that no finding may contain.
        prices: prices of tokens, for the estimate.
        seconds: timeout of each check.
        now: a clock in seconds.
        sleep: waits for some seconds.
    """

    settings: Settings
    method: Method
    policy: Callable[[Settings], Policy]
    reward: Callable[[], Reward]
    data: Spec | None = None
    golden: str | None = None
    api_key: str | None = field(default=None, repr=False)
    reward_key: str | None = field(default=None, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    prices: Prices | None = None
    seconds: float = 900.0
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class ProbedPolicy:
    """A policy that checks call directly: one server of several, or the model in this process."""

    name: str
    policy: Policy
    address: str | None = None
    context: int | None = None


@dataclass
class CheckState:
    """Results of earlier checks for later ones, and the callback that receives findings."""

    report: Callable[[Finding], None]
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)
    model: str | None = None
    queries: int | None = None
    longest: int = 0
    """Characters of the longest query."""
    query: Query | None = None
    """The query to optimize."""
    policies: list[ProbedPolicy] = field(default_factory=list)
    policy: Policy | None = None
    reward: Reward | None = None
    trajectory: Trajectory | None = None
    first_seconds: float = 0.0
    """Seconds from the start to the last score of the first samples."""
    step_seconds: float = 0.0

    def close_later(self, thing: Any) -> None:
        """Close *thing* after the last check, if it has ``aclose``."""
        close = getattr(thing, "aclose", None)
        if close is not None:
            self.closing.push_async_callback(close)
