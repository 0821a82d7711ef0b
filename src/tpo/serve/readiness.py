"""Readiness: whether the models that requests need answer."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

from tpo.policies.base import Policy
from tpo.policies.wrapper import closing
from tpo.rewards.base import Reward
from tpo.types import WRITER, Completion, Messages, Sampling, Scope, Score, user

log = logging.getLogger(__name__)

READY_SECONDS = 5.0
"""Timeout of each question of a check, and how long its result and an answer to a request hold."""
QUESTION = (user("Hello"),)
TOKENS = 16
"""Tokens of the reply to the question; some servers write no fewer."""
REWARD = "reward"


class Readiness:
    """Asks *policy* for a few tokens and *reward* for a score; rarely, then cached.

    Each of *roles* is asked with its sampling values, since some servers take temperature 1 alone.
    A model that has just answered a request is not asked: at a busy server the question would wait.
    """

    def __init__(
        self, policy: Policy, reward: Reward, roles: Mapping[str, Sampling], now: Callable[[], float]
    ) -> None:
        self._policy = policy
        self._reward = reward
        self._roles = roles
        self._now = now
        self._answered: dict[str, float] = {}
        """Time at which each role of the policy and the reward answered a request last."""
        self._found: tuple[float, str | None] | None = None
        self._checking = asyncio.Lock()

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield the policy's completions, and note that it answers."""
        async with closing(self._policy.sample(messages, sampling, scope)) as completions:
            async for completion in completions:
                self._answered[scope.role] = self._now()
                yield completion

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Return the reward's score, and note that it answers."""
        score = await self._reward.score(messages, response, scope)
        self._answered[REWARD] = self._now()
        return score

    async def fault(self) -> str | None:
        """Return why requests would fail now; None if every model answers."""
        async with self._checking:
            if self._found is None or self._now() - self._found[0] > READY_SECONDS:
                self._found = self._now(), await self._check()
            return self._found[1]

    async def _check(self) -> str | None:
        faults = await asyncio.gather(*map(self._fault_of, (*self._roles, REWARD)))
        return next((fault for fault in faults if fault is not None), None)

    async def _fault_of(self, part: str) -> str | None:
        if self._now() - self._answered.get(part, -math.inf) <= READY_SECONDS:
            return None
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ask(part)
        except Exception as error:  # noqa: BLE001 - whatever it is, requests would meet it as well
            name = "policy" if part == WRITER else part
            log.warning("the %s is not ready: %s", name, error)
            return f"the {name} does not answer"
        return None

    async def _ask(self, part: str) -> None:
        if part == REWARD:
            await self._reward.score(QUESTION, "Hello", Scope("ready", 0, "reward"))
            return
        sampling, scope = self._roles[part], Scope("ready", 0, "sample", role=part)
        few = replace(sampling, n=1, max_tokens=min(TOKENS, sampling.max_tokens))
        async with closing(self._policy.sample(QUESTION, few, scope)) as drawn:
            async for _ in drawn:
                pass
