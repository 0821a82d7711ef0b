"""When the next query starts: as soon as the server has room for its samples, so that it is always full.

A query keeps N sequences of a server busy while it samples, and one in its critiques. So a number of queries
leaves the server half empty, or overfills it: then calls queue there, and what later ones would find again
in its prefix cache is pushed out before they come. What counts is the samples in flight.

Towards the end the rule turns round: once all that is left fits into the free places, everything starts at
once, and :mod:`tpo.runs.turns` sees to it that all end together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from itertools import islice

from tpo.runs.turns import Turns
from tpo.types import Query


class Admission:
    """Hands out *queries*, each to one of *places*, while a call would start at once in *turns*.

    It looks *places* queries ahead, to see the end of the data coming; where *turns* has no bound not at all,
    and a query starts whenever a place asks.
    """

    def __init__(self, queries: Iterator[Query], turns: Turns, places: int) -> None:
        self._queries = queries
        self._turns = turns
        self._places = places
        self._ahead: deque[Query] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._working = 0
        turns.fell = self._wake

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

    def give_back(self, query: Query) -> None:
        """*query* has ended, and its place is free."""
        self._turns.end(query.id)
        self._working -= 1
        self._wake()

    def _open(self) -> bool:
        if self._turns.free:
            return True
        self._ahead.extend(islice(self._queries, self._places - len(self._ahead)))
        self._turns.ending = len(self._ahead) <= self._places - self._working
        return self._turns.ending

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
