"""Policy and reward that answer at once and keep nothing: all time and memory is that of this package."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tpo.methods.tags import CLOSING, OPENING
from tpo.types import Completion, Messages, Sampling, Scope, Score, Usage


@dataclass(frozen=True)
class InstantPolicy:
    """Policy that answers in the next turn of the event loop, with texts that differ by sample.

    Args:
        words: words of each text, and completion tokens it reports.
        prompt_tokens: prompt tokens it reports for each call.
    """

    words: int = 20
    prompt_tokens: int = 100

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield ``sampling.n`` completions."""
        del messages
        for index in range(sampling.n):
            await asyncio.sleep(0)
            body = f"{scope.query} {index} " + "word " * self.words
            text = f"{OPENING}{body}{CLOSING}" if scope.phase == "update" else body
            yield Completion(index, text, usage=Usage(int(index == 0), self.prompt_tokens, 0, self.words))


class LengthReward:
    """Reward that is the number of characters of the response."""

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Return the length of *response*."""
        del messages, scope
        return Score(float(len(response)))
