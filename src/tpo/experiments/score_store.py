"""Scores of one reward, stored before they are used: the same response to a query is scored once."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from tpo.errors import RewardError
from tpo.rewards.base import Reward
from tpo.store.journal import Journal
from tpo.store.journaled_models import JournaledReward, score_request
from tpo.types import Query, Scope, Score

Key = tuple[str, str]
"""A query's id and the hash of a response to it."""


class ScoreStore:
    """Scores in the file at *path*; they must be one reward's.

    *columns* are those of the data that the reward reads: a score is that of their values.

    Raises:
        StoreError: the file cannot be used.
    """

    def __init__(self, path: Path, columns: Collection[str] = ()) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(path)
        self._columns = tuple(columns)
        self._scores: dict[Key, float] = {}
        self.failures: dict[Key, str] = {}
        """Reasons why responses have no score."""

    def value(self, query: Query, text: str) -> float | None:
        """Return the score of *text*, or None if it has none."""
        key = self._key(query, text)
        if key not in self._scores:
            there = self._journal.score(_scope(query), key[1])
            if there is None:
                return None
            self._scores[key] = there.value
        return self._scores[key]

    async def score(
        self, responses: Iterable[tuple[Query, str]], reward: Reward, *, concurrency: int = 64
    ) -> None:
        """Score those of *responses* that have no score; each score is stored before it is used.

        A response that the reward refuses is added to :attr:`failures`.

        Raises:
            RewardError: a fatal error, after which no response can be scored.
        """
        free, kept = asyncio.Semaphore(concurrency), JournaledReward(reward, self._journal, self._columns)
        try:
            async with asyncio.TaskGroup() as group:
                for query, text in self._unscored(responses):
                    await free.acquire()
                    task = group.create_task(self._one(query, text, kept))
                    task.add_done_callback(lambda _: free.release())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def close(self) -> None:
        """Close the file."""
        await self._journal.close()

    def _unscored(self, responses: Iterable[tuple[Query, str]]) -> Iterator[tuple[Query, str]]:
        asked: set[Key] = set()
        for query, text in responses:
            key = self._key(query, text)
            if key not in asked and self.value(query, text) is None:
                asked.add(key)
                yield query, text

    async def _one(self, query: Query, text: str, reward: JournaledReward) -> None:
        key = self._key(query, text)
        try:
            score: Score = await reward.score(query.messages, text, _scope(query))
        except RewardError as error:
            if error.fatal:
                raise
            self.failures[key] = str(error)
            return
        self.failures.pop(key, None)
        self._scores[key] = score.value

    def _key(self, query: Query, text: str) -> Key:
        return query.id, score_request(query.messages, text, query, self._columns)


def _scope(query: Query) -> Scope:
    """Return one scope for all responses to a query, which differ only in their text."""
    return Scope(query.id, 0, "reward", 0, data=query)
