"""Scores of a held-out reward, which guides no run and is computed afterwards.

It scores the first samples of each trajectory, of which the very first is the unaligned answer and all give
the curve of best-of-n, and the best of the pool after each step.
If the guiding reward keeps rising and the held-out reward does not, the loop exploits the guiding reward:
over-optimization.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path

from tpo.errors import RewardError
from tpo.rewards.base import Reward
from tpo.store.journal import Journal, request_hash
from tpo.store.journaled_models import JournaledReward
from tpo.types import Candidate, Messages, Query, Scope, Score, Trajectory

Key = tuple[str, str]
"""A query and the hash of a response: the same response in two cells is scored once."""


def best_by_step(trajectory: Trajectory) -> tuple[Candidate, ...]:
    """Return the best of the pool after each step; step 0 is the first samples."""
    if not trajectory.initial:
        return ()
    found = [max(trajectory.initial, key=_reward)]
    for step in trajectory.steps:
        found.append(max((found[-1], *step.scored), key=_reward))
    return tuple(found)


def scored_candidates(trajectory: Trajectory) -> tuple[Candidate, ...]:
    """Return the first samples, then the best of the pool after each step."""
    return (*trajectory.initial, *best_by_step(trajectory))


class HeldOutScores:
    """Scores of the held-out reward, stored in the file at *path*.

    Raises:
        StoreError: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(path)
        self._scores: dict[Key, float] = {}
        self.failures: dict[Key, str] = {}
        """Reasons why responses have no score."""

    def value(self, query: Query, text: str) -> float | None:
        """Return the score of *text*, or None if it has none."""
        key = _key(query, text)
        if key not in self._scores:
            there = self._journal.score(_scope(query), key[1])
            if there is None:
                return None
            self._scores[key] = there.value
        return self._scores[key]

    def is_complete(self, trajectories: Iterable[Trajectory]) -> bool:
        """Return whether all responses to score have a score, so that no model needs to be loaded."""
        return all(
            self.value(t.query, each.text) is not None for t in trajectories for each in scored_candidates(t)
        )

    async def score(
        self, trajectories: Iterable[Trajectory], reward: Reward, *, concurrency: int = 64
    ) -> None:
        """Score the responses of *trajectories* that have no score; each score is stored before it is used.

        A response that the reward refuses is added to :attr:`failures`.

        Raises:
            RewardError: a fatal error, after which no response can be scored.
        """
        free, kept = asyncio.Semaphore(concurrency), JournaledReward(reward, self._journal)
        asked: set[Key] = set()
        try:
            async with asyncio.TaskGroup() as group:
                for trajectory in trajectories:
                    for text in self._unscored(trajectory, asked):
                        await free.acquire()
                        task = group.create_task(self._one(trajectory.query, text, kept))
                        task.add_done_callback(lambda _: free.release())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def close(self) -> None:
        """Close the file."""
        await self._journal.close()

    def _unscored(self, trajectory: Trajectory, asked: set[Key]) -> Iterator[str]:
        """Yield the responses of *trajectory* without a score that are not in *asked*; add them to it."""
        for text in (each.text for each in scored_candidates(trajectory)):
            key = _key(trajectory.query, text)
            if key not in asked and self.value(trajectory.query, text) is None:
                asked.add(key)
                yield text

    async def _one(self, query: Query, text: str, reward: JournaledReward) -> None:
        key = _key(query, text)
        try:
            score: Score = await reward.score(query.messages, text, _scope(query))
        except RewardError as error:
            if error.fatal:
                raise
            self.failures[key] = str(error)
            return
        self.failures.pop(key, None)
        self._scores[key] = score.value


def _reward(candidate: Candidate) -> float:
    return candidate.reward


def _scope(query: Query) -> Scope:
    """Return one scope for all responses to a query, which differ only in their text."""
    return Scope(query.id, 0, "reward", 0, data=query)


def _key(query: Query, text: str) -> Key:
    messages: Messages = query.messages
    return query.id, request_hash(messages, text)
