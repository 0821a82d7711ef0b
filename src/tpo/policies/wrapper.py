"""Base of policy wrappers: delegates check and close, and closes calls that are left early."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Generic, TypeVar

from tpo.policies.base import Policy

T = TypeVar("T")


class Wrapper:
    """Stands before *policy* in the same shape; a subclass says what ``sample`` does on the way."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    async def check(self) -> None:
        """The policy's own check, if it has one."""
        check = getattr(self.policy, "check", None)
        if check is not None:
            await check()

    async def aclose(self) -> None:
        """Close the policy, if it can be closed."""
        close = getattr(self.policy, "aclose", None)
        if close is not None:
            await close()


class closing(Generic[T]):  # noqa: N801 - as the standard library writes its own
    """*iterator*, closed at the end of the block if it can be.

    So a call that is left early frees its request, its place in a queue, its rows on a card at once. A class
    and not a generator, since every wrapper enters one a call.
    """

    __slots__ = ("_iterator",)

    def __init__(self, iterator: AsyncIterator[T]) -> None:
        self._iterator = iterator

    async def __aenter__(self) -> AsyncIterator[T]:
        return self._iterator

    async def __aexit__(self, *exception: object) -> None:
        if isinstance(self._iterator, AsyncGenerator):
            await self._iterator.aclose()
