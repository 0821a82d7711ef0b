"""RolePolicy: calls of some roles go to policies of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from tpo.policies.base import Policy, stream_or_sample
from tpo.policies.wrapper import Wrapper, closing
from tpo.types import Completion, Delta, Messages, Sampling, Scope


class RolePolicy(Wrapper):
    """Sends a call to the policy of its role in *roles*, or to *policy*."""

    def __init__(self, policy: Policy, roles: Mapping[str, Policy]) -> None:
        super().__init__(policy)
        self._roles = {role: Wrapper(each) for role, each in roles.items()}

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield the completions of the role's policy."""
        async with closing(self._policy_of(scope).sample(messages, sampling, scope)) as completions:
            async for completion in completions:
                yield completion

    async def stream(
        self, messages: Messages, sampling: Sampling, scope: Scope
    ) -> AsyncIterator[Completion | Delta]:
        """Do the same, with the pieces of text if the role's policy has them."""
        source = stream_or_sample(self._policy_of(scope))
        async with closing(source(messages, sampling, scope)) as pieces:
            async for piece in pieces:
                yield piece

    def _policy_of(self, scope: Scope) -> Policy:
        found = self._roles.get(scope.role)
        return self.policy if found is None else found.policy

    async def check(self) -> None:
        """Check every policy that has a check."""
        await super().check()
        for each in self._roles.values():
            await each.check()

    async def aclose(self) -> None:
        """Close every policy that can be closed."""
        for each in self._roles.values():
            await each.aclose()
        await super().aclose()
