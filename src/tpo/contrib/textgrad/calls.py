"""The calls of one engine: N samples of a prompt, and of several the best.

TextGrad's calls have no place in a run. So a call's place is how often its very prompt was asked before: a
program that runs again asks in the same order, gets the same seeds, and is answered from the journal.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from tpo.errors import PolicyError
from tpo.methods.seeds import base_seed
from tpo.policies.base import Policy
from tpo.policies.wrapper import closing
from tpo.rewards.base import Reward
from tpo.rewards.values import ask_reward, score_or_raise
from tpo.store.journal import request_hash
from tpo.types import Completion, Messages, Sampling, Scope


@dataclass
class Calls:
    """Calls to *policy*, and to *reward* where the best of several is wanted, in the name of *name*."""

    policy: Policy
    reward: Reward | None
    name: str
    _places: dict[str, _Places] = field(default_factory=lambda: defaultdict(_Places))

    async def samples(self, messages: Messages, sampling: Sampling) -> list[Completion]:
        """``sampling.n`` completions of *messages*, in order; another draw each time the same is asked.

        *sampling.seed* is the engine's, from which the call's own derives.

        Raises:
            PolicyError: no answer, or fewer than asked for.
        """
        with self._placed(messages, sampling) as scope:
            return await self._at(scope, messages, sampling)

    async def best(self, messages: Messages, sampling: Sampling) -> Completion:
        """The completion with the highest reward, the earliest of equals; without a reward, the first."""
        with self._placed(messages, sampling) as scope:
            found = await self._at(scope, messages, sampling)
            reward = self.reward
            if reward is None or len(found) == 1:
                return found[0]
            scoring = (
                ask_reward(reward, messages, one.text, replace(scope, phase="reward", index=one.index))
                for one in found
            )
            # All are let finish: a call that is made again must not meet what is left of this one.
            scores = await asyncio.gather(*scoring, return_exceptions=True)
            values = [score_or_raise(score).value for score in scores]
            return max(zip(values, found, strict=True), key=lambda pair: pair[0])[1]

    @contextmanager
    def _placed(self, messages: Messages, sampling: Sampling) -> Iterator[Scope]:
        """Yield the call's scope; a call that fails gives its place back."""
        request = f"{self.name}/{request_hash(messages, repr(sampling))}"
        scope = Scope(request, self._places[request].take(), "sample")
        try:
            yield scope
        except BaseException:
            self._places[request].give_back(scope.step)
            raise

    async def _at(self, scope: Scope, messages: Messages, sampling: Sampling) -> list[Completion]:
        sampling = replace(sampling, seed=base_seed(sampling.seed, scope, sampling.n))
        async with closing(self.policy.sample(messages, sampling, scope)) as source:
            found = sorted([completion async for completion in source], key=lambda one: one.index)
        if len(found) < sampling.n:
            raise PolicyError(f"{self.name}: the policy gave {len(found)} of {sampling.n} responses")
        return found


@dataclass
class _Places:
    """Numbers from 1 on, each taken once; a call that failed gives its own back for the next try."""

    _last: int = 0
    _free: list[int] = field(default_factory=list)

    def take(self) -> int:
        """The lowest that is free."""
        if self._free:
            return heapq.heappop(self._free)
        self._last += 1
        return self._last

    def give_back(self, place: int) -> None:
        """*place* is free again."""
        heapq.heappush(self._free, place)
