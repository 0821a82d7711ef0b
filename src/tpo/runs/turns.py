"""Whose call is next, where a server is full: calls wait here, in an order, and not there, in a queue.

While there are queries to come, those that have gone furthest go on first: their conversations are still in
the server's prefix cache, and few queries are under way. When the last have started, what matters is that
all end together: a long chain that starts late is what everything else waits for. Then first samples go
first, since they tell how long a query's replies are; after them every call whose query would be late; and
the others as before, so that they are not read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from tpo.errors import ConfigError
from tpo.methods.method import Method
from tpo.policies.base import Policy
from tpo.policies.wrapper import Wrapper, closing
from tpo.runs.forecast import Forecast
from tpo.runs.load import Arrival, Load
from tpo.types import Completion, Messages, Sampling, Scope

URGENT = 0.5
"""A query is late if the mean replies that it has to wait for still come to this share of all steps left.

The longest of N siblings is what is really waited for, half as long again, and a step of a full server is
shared with prompts. In simulation anything between 0.4 and 0.6 was as good.
"""


@dataclass(eq=False, slots=True)
class _Call:
    samples: int
    place: int
    rest: float
    turn: asyncio.Future[None]


class Turns(Wrapper):
    """*policy*, of which a call starts when fewer than *sequences* run in its servers; None is no bound.

    *fell* is called when there are fewer; ``ending`` is set when no further query will come.

    Raises:
        ConfigError: *sequences* is less than 1.
    """

    def __init__(self, policy: Policy, recipe: Method, sequences: int | None) -> None:
        if sequences is not None and sequences < 1:
            raise ConfigError(f"--sequences is {sequences}; it must be at least 1")
        super().__init__(policy)
        self.ending = False
        self.fell: Callable[[], None] = lambda: None
        self._sequences = sequences
        self._forecast = Forecast(recipe)
        self._waiting: list[_Call] = []
        self._load = Load()

    @property
    def in_flight(self) -> int:
        """Samples asked for that have not come."""
        return self._load.samples

    @property
    def free(self) -> bool:
        """Whether a call that comes now starts at once."""
        return self._sequences is None or (self._load.now < self._sequences and not self._waiting)

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """As the policy's own, when it is this call's turn."""
        await self._turn(scope, sampling.n)
        left, begun, arrived = sampling.n, asyncio.get_running_loop().time(), list[Arrival]()
        try:
            async with closing(self.policy.sample(messages, sampling, scope)) as completions:
                async for completion in completions:
                    left -= 1
                    arrived.append((asyncio.get_running_loop().time(), completion))
                    self._less(1, sampling.n)
                    yield completion
        finally:
            self._less(left, sampling.n)
        self._load.learn(begun, arrived)
        tokens = sum(completion.usage.completion_tokens for _, completion in arrived)
        self._forecast.add(scope, tokens, sampling.n)

    def end(self, query: str) -> None:
        """*query* has ended: nothing more is expected of it."""
        self._forecast.forget(query)

    async def _turn(self, scope: Scope, samples: int) -> None:
        """Wait for room for *samples*, and take it."""
        rest = self._forecast.expect(scope) if self._sequences is not None else 0.0
        if self.free:
            self._load.add(samples, samples)
            return
        turn = asyncio.get_running_loop().create_future()
        call = _Call(samples, self._forecast.place(scope), rest, turn)
        self._waiting.append(call)
        try:
            await turn
        except asyncio.CancelledError:
            if call in self._waiting:
                self._waiting.remove(call)
            else:  # it was its turn in the very moment of the cancellation
                self._less(samples, samples)
            raise

    def _less(self, samples: int, of: int) -> None:
        self._load.add(-samples, of)
        while self._sequences is not None and self._load.now < self._sequences:
            call = self._next(self._sequences)
            if call is None:
                break
            self._waiting.remove(call)
            self._load.add(call.samples, call.samples)
            call.turn.set_result(None)
        self.fell()

    def _next(self, sequences: int) -> _Call | None:
        calls = [call for call in self._waiting if not call.turn.cancelled()]
        if not calls:
            return None
        longest = max(calls, key=lambda call: call.rest)
        late = self.ending and longest.rest >= URGENT * self._forecast.left / sequences
        return longest if late else max(calls, key=lambda call: call.place)
