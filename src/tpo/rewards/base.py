"""Reward protocol: one conversation, one response, one number."""

from typing import Protocol

from tpo.types import Messages, Scope, Score


class Reward(Protocol):
    """A judge of one response to one conversation; larger is better.

    Calls from all queries in flight meet in it, so batching is its own business, and a candidate can be
    scored while its siblings are still being written.

    Raises:
        RewardError: this response got no usable score.
        RewardRefused: none will.
    """

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """The score of *response* as the answer to *messages*."""
        ...
