"""A reward that scores as it was told to: for tests and examples, without a model.

reward = ScriptedReward({"poor": -1.0, "better": 0.5})
reward = ScriptedReward(len)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from tpo.errors import RewardError
from tpo.types import Messages, Scope, Score


@dataclass(frozen=True, slots=True)
class RewardCall:
    """Arguments of a reward call."""

    messages: Messages
    response: str
    scope: Scope


class ScriptedReward:
    """Scores a response by its text alone; without *scores*, by its length. Tokens are words.

    Args:
        scores: a function of the text, or a mapping from texts; a text that it lacks is a ``RewardError``.
        failures: exceptions by scope (with the sample's index) or by the response's text.
        before: awaited before each score, given the call: ``lambda call: event.wait()``.
    """

    def __init__(
        self,
        scores: Callable[[str], float] | Mapping[str, float] = len,
        *,
        failures: Mapping[Scope | str, Exception] | None = None,
        before: Callable[[RewardCall], Awaitable[object]] | None = None,
    ) -> None:
        self.calls: list[RewardCall] = []
        self._scores = scores
        self._failures = failures or {}
        self._before = before

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Record the call and give its scripted score."""
        call = RewardCall(messages, response, scope)
        self.calls.append(call)
        await (self._before(call) if self._before else asyncio.sleep(0))
        for key in (scope, response):
            if key in self._failures:
                raise self._failures[key]
        return Score(float(self._value(response)), tokens=len(response.split()))

    def _value(self, response: str) -> float:
        if not isinstance(self._scores, Mapping):
            return self._scores(response)
        if response not in self._scores:
            raise RewardError(f"no score is scripted for {response!r}")
        return self._scores[response]
