"""What wrappers of a policy share: the check and the end of the one inside, and calls that end when left."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

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


@asynccontextmanager
async def closing(iterator: AsyncIterator[T]) -> AsyncGenerator[AsyncIterator[T], None]:
    """*iterator*, closed at the end of the block if it can be.

    So a call that is left early frees its request, its place in a queue, its rows on a card at once.
    """
    try:
        yield iterator
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()
