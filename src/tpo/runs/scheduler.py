"""Client-side priority scheduler for saturated servers (``--sequences``): calls wait here, in an order.

**When a query starts.** A query keeps N sequences of a server busy while it samples, and one in its
critiques. So a number of queries leaves the server half empty, or overfills it: then calls queue there, and
what later ones would find again in its prefix cache is evicted before they come. What counts is the samples
in flight.

**Whose call is next.** While there are queries to come, those that have gone furthest go first: their
conversations are still in the server's prefix cache, and few queries are in flight. When the last have
started, what matters is that all end together: a long chain that starts late is what everything else waits
for. Then first samples go first, since they tell how long a query's replies are; after them every call whose
query would be late; and the others as before, so that they are not read again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from tpo.errors import ConfigError
from tpo.policies.base import Policy
from tpo.policies.wrapper import Wrapper, closing
from tpo.runs.forecast import Arrival, Forecast, Load, PlannedCall
from tpo.types import Completion, Messages, Query, Sampling, Scope

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


class Scheduler(Wrapper):
    """*policy*, of which a call starts when fewer than *sequences* run in its servers.

    It also hands out *queries*, each to one of *places*, while a call would start at once. It looks *places*
    queries ahead, to see the end of the data coming: once all that is left fits in, everything starts.

    Args:
        policy: what is scheduled.
        planned: the calls of each query.
        sequences: sequences that the servers run at a time.
        queries: those to hand out.
        places: queries in flight at most.

    Raises:
        ConfigError: *sequences* is less than 1.
    """

    def __init__(
        self,
        policy: Policy,
        planned: Sequence[PlannedCall],
        sequences: int,
        queries: Iterable[Query] = (),
        places: int = 0,
    ) -> None:
        if sequences < 1:
            raise ConfigError(f"--sequences is {sequences}; it must be at least 1")
        super().__init__(policy)
        self.ending = False
        """True if no further query will come."""
        self._sequences = sequences
        self._forecast = Forecast(planned)
        self._load = Load()
        self._waiting: list[_Call] = []
        self._queries = iter(queries)
        self._places = places
        self._ahead: deque[Query] = deque()
        self._takers: deque[asyncio.Future[None]] = deque()
        self._working = 0

    @property
    def in_flight(self) -> int:
        """Samples asked for that have not arrived."""
        return self._load.samples

    @property
    def is_free(self) -> bool:
        """Return whether a new call would start at once."""
        return self._load.now < self._sequences and not self._waiting

    async def take(self) -> Query | None:
        """Return the next query, once it may start; None when there is none left.

        The caller must start the first call before it awaits anything else: the query counts from then on.
        """
        while not self._may_start():
            turn = asyncio.get_running_loop().create_future()
            self._takers.append(turn)
            await turn
        query = self._ahead.popleft() if self._ahead else next(self._queries, None)
        self._working += query is not None
        self._wake()  # the next one looks again itself, when this one's samples are counted
        return query

    def end(self, query: str) -> None:
        """Free the place of *query*, which has ended."""
        self._forecast.forget(query)
        self._working -= 1
        self._wake()

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield what the policy yields, when it is this call's turn."""
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

    def _may_start(self) -> bool:
        if self.is_free:
            return True
        self._ahead.extend(islice(self._queries, self._places - len(self._ahead)))
        self.ending = len(self._ahead) <= self._places - self._working
        return self.ending

    def _wake(self) -> None:
        while self._takers:
            turn = self._takers.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _turn(self, scope: Scope, samples: int) -> None:
        """Wait for room for *samples*, and take it."""
        rest = self._forecast.expect(scope)
        if self.is_free:
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
        while self._load.now < self._sequences and (call := self._next()) is not None:
            self._waiting.remove(call)
            self._load.add(call.samples, call.samples)
            call.turn.set_result(None)
        self._wake()

    def _next(self) -> _Call | None:
        calls = [call for call in self._waiting if not call.turn.cancelled()]
        if not calls:
            return None
        longest = max(calls, key=lambda call: call.rest)
        late = self.ending and longest.rest >= URGENT * self._forecast.left / self._sequences
        return longest if late else max(calls, key=lambda call: call.place)
