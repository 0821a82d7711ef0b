"""When the next query starts: as soon as the server has room for its samples, so that it is always full.

A query keeps N sequences of a server busy while it samples, and one in its critiques. So a number of queries
leaves the server half empty, or overfills it: then calls queue there, and what later ones would find again
in its prefix cache is pushed out before they come. What counts is the samples in flight.

Towards the end the rule turns round: once all that is left fits into the free places, everything starts at
once, since a long chain that starts late is what all wait for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice

from tpo.errors import ConfigError
from tpo.policies.base import Policy
from tpo.policies.wrapper import Wrapper, closing
from tpo.types import Completion, Messages, Query, Sampling, Scope


class Counted(Wrapper):
    """*policy*, with the number of its samples ``in_flight``; *fell* is called when there are fewer."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.in_flight = 0
        self.fell: Callable[[], None] = lambda: None

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """As the policy's own."""
        left = sampling.n
        self.in_flight += left
        try:
            async with closing(self.policy.sample(messages, sampling, scope)) as completions:
                async for completion in completions:
                    left -= 1
                    self._less(1)
                    yield completion
        finally:
            self._less(left)

    def _less(self, samples: int) -> None:
        self.in_flight -= samples
        self.fell()


class Admission:
    """Hands out *queries*, each to one of *places*, while fewer than *sequences* samples are in flight.

    It looks *places* queries ahead, to see the end of the data coming; with *sequences* None not at all, and
    a query starts whenever a place asks.

    Raises:
        ConfigError: *sequences* is less than 1.
    """

    def __init__(
        self, queries: Iterator[Query], counted: Counted, places: int, sequences: int | None
    ) -> None:
        if sequences is not None and sequences < 1:
            raise ConfigError(f"--sequences is {sequences}; it must be at least 1")
        self._queries = queries
        self._counted = counted
        self._places = places
        self._sequences = sequences
        self._ahead: deque[Query] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._working = 0
        counted.fell = self._wake

    async def take(self) -> Query | None:
        """The next query, once it may start; None when there is none left.

        Whoever takes one must start its first call before anything else is awaited: it counts from then on.
        """
        while not self._open():
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        query = self._ahead.popleft() if self._ahead else next(self._queries, None)
        self._working += query is not None
        self._wake()  # the next one looks again itself, when this one's samples are counted
        return query

    def give_back(self) -> None:
        """A query has ended, and its place is free."""
        self._working -= 1
        self._wake()

    def _open(self) -> bool:
        if self._sequences is None or self._counted.in_flight < self._sequences:
            return True
        self._ahead.extend(islice(self._queries, self._places - len(self._ahead)))
        return len(self._ahead) <= self._places - self._working

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
