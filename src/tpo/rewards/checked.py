"""CheckedReward: a reward whose scores also hold that of a second reward, which guides nothing."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from tpo.errors import RewardError
from tpo.rewards.base import Reward
from tpo.rewards.function_retry import probe_all
from tpo.rewards.values import ask_reward
from tpo.types import Messages, Scope, Score

log = logging.getLogger(__name__)


class CheckedReward:
    """Middleware: scores with *reward*, and asks *check* beside it for the score's ``check``.

    A response that *check* cannot score has none; only a fatal failure of *check* is raised.
    """

    def __init__(self, reward: Reward, check: Reward) -> None:
        self._reward = reward
        self._check = check

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Return the score of *reward* with the check reward's value.

        Raises:
            RewardError: as of *reward*, or a fatal one of *check*.
        """
        score, check = await asyncio.gather(
            ask_reward(self._reward, messages, response, scope),
            ask_reward(self._check, messages, response, scope),
            return_exceptions=True,
        )
        if isinstance(score, BaseException):
            raise score
        if isinstance(check, Score):
            return replace(score, check=check.value)
        if not isinstance(check, RewardError) or check.fatal:
            raise check
        log.warning("%r: response %s.%s has no check score: %s", scope.query, scope.step, scope.index, check)
        return score

    async def probe(self, messages: Messages) -> None:
        """Probe both, where they are functions of the user's own."""
        await probe_all([self._reward, self._check], messages)
