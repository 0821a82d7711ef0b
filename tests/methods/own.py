"""A method made of a function, and a short way to run one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tpo.methods.attempt import Attempt
from tpo.methods.method import Method
from tpo.methods.optimize import Optimizer
from tpo.policies.base import Policy
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.base import Reward
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Messages, Query, Trajectory, user

QUERY = Query("q7", (user("Say hello."),))
PROMPT: Messages = (user("now what?"),)

Steps = Callable[[Attempt], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Own(Method):
    """Runs *steps*."""

    steps: Steps
    name: str = "own"

    async def optimize(self, attempt: Attempt) -> None:
        """Run the function."""
        await self.steps(attempt)


@dataclass(frozen=True, kw_only=True)
class Early(Method):
    """Draws the first samples and returns, whatever D is."""

    name: str = "early"

    async def optimize(self, attempt: Attempt) -> None:
        """Draw."""
        await attempt.sample(attempt.query.messages, n=self.sample_size)


def run(
    steps: Steps, policy: Policy | None = None, reward: Reward | None = None, **options: Any
) -> Trajectory:
    """The trajectory of *steps* on a fixed query."""
    optimizer = Optimizer(policy or ScriptedPolicy(), reward or ScriptedReward(), Own(steps=steps), **options)
    return asyncio.run(optimizer.optimize(QUERY))
