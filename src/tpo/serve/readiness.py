"""Readiness: whether the models that requests need answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from tpo.policies.base import Policy
from tpo.policies.wrapper import closing
from tpo.rewards.base import Reward
from tpo.types import WRITER, Sampling, Scope, user

log = logging.getLogger(__name__)

READY_SECONDS = 5.0
"""Timeout of a readiness check, and how long its result holds."""
QUESTION = (user("Hello"),)


class Readiness:
    """Asks *policy*, in each of *roles*, for a token and *reward* for a score; rarely, then cached."""

    def __init__(
        self, policy: Policy, reward: Reward, roles: Sequence[str], now: Callable[[], float]
    ) -> None:
        self._policy = policy
        self._reward = reward
        self._roles = (WRITER, *roles)
        self._now = now
        self._found: tuple[float, str | None] | None = None
        self._checking = asyncio.Lock()

    async def fault(self) -> str | None:
        """Return why requests would fail now; None if every model answers."""
        async with self._checking:
            if self._found is None or self._now() - self._found[0] > READY_SECONDS:
                self._found = self._now(), await self._check()
            return self._found[1]

    async def _check(self) -> str | None:
        scope = Scope("ready", 0, "sample")
        part = "policy"
        try:
            async with asyncio.timeout(READY_SECONDS):
                for role in self._roles:
                    part = "policy" if role == WRITER else role
                    await self._ask(replace(scope, role=role))
                part = "reward"
                await self._reward.score(QUESTION, "Hello", replace(scope, phase="reward"))
        except Exception as error:  # noqa: BLE001 - whatever it is, requests would meet it as well
            log.warning("the %s is not ready: %s", part, error)
            return f"the {part} does not answer"
        return None

    async def _ask(self, scope: Scope) -> None:
        async with closing(self._policy.sample(QUESTION, Sampling(max_tokens=1), scope)) as drawn:
            async for _ in drawn:
                pass
