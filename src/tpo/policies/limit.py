"""A bound on the calls in flight."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tpo.errors import ConfigError
from tpo.perloop import PerLoop
from tpo.policies.base import Policy
from tpo.policies.wrapper import Wrapper, closing
from tpo.types import Completion, Messages, Sampling, Scope


class Limited(Wrapper):
    """*policy* with at most *concurrency* calls at a time, the others waiting in the order they came.

    A call counts from its first request until its last completion is taken; its samples are not counted.

    Raises:
        ConfigError: *concurrency* is less than 1.
    """

    def __init__(self, policy: Policy, concurrency: int) -> None:
        if concurrency < 1:
            raise ConfigError(f"--concurrency is {concurrency}; it must be at least 1")
        super().__init__(policy)
        self._free = PerLoop(lambda: asyncio.Semaphore(concurrency))

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Wait for a place, then yield what the policy yields."""
        async with (
            self._free.get(),
            closing(self.policy.sample(messages, sampling, scope)) as completions,
        ):
            async for completion in completions:
                yield completion
