"""A bound on the calls in flight."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from tpo.errors import ConfigError
from tpo.perloop import PerLoop
from tpo.policies.base import Policy
from tpo.types import Completion, Messages, Sampling, Scope


class Limited:
    """*policy* with at most *concurrency* calls at a time, the others waiting in the order they came.

    A call counts from its first request until its last completion is taken; its samples are not counted.

    Raises:
        ConfigError: *concurrency* is less than 1.
    """

    def __init__(self, policy: Policy, concurrency: int) -> None:
        if concurrency < 1:
            raise ConfigError(f"--concurrency is {concurrency}; it must be at least 1")
        self.policy = policy
        self._free = PerLoop(lambda: asyncio.Semaphore(concurrency))

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Wait for a place, then yield what the policy yields."""
        async with self._free.get():
            completions = self.policy.sample(messages, sampling, scope)
            try:
                async for completion in completions:
                    yield completion
            finally:  # a caller that leaves early ends the call, so that its place is free in truth
                if isinstance(completions, AsyncGenerator):
                    await completions.aclose()

    async def check(self) -> None:
        """The policy's own check, if it has one."""
        if hasattr(self.policy, "check"):
            await self.policy.check()

    async def aclose(self) -> None:
        """Close the policy, if it can be closed."""
        if hasattr(self.policy, "aclose"):
            await self.policy.aclose()
