"""A held-out reward looks at what the loop chose, afterwards: it guides nothing.

It scores, of each trajectory, the first sample (what the model answers unaligned) and the best of the pool
after each step. Where the guiding reward goes on rising and this one does not, the loop is finding what the
guiding reward likes, and no longer what is better: over-optimization.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path

from tpo.errors import RewardError
from tpo.rewards.base import Reward
from tpo.store.journal import Journal, request_hash
from tpo.store.journaled import JournaledReward
from tpo.types import Candidate, Messages, Query, Scope, Score, Trajectory

Key = tuple[str, str]
"""A query and the hash of a response to it: the same text in two cells is scored once."""


def watched(trajectory: Trajectory) -> tuple[Candidate, ...]:
    """The first sample, then the best of the pool after each step, step 0 being the first samples."""
    if not trajectory.initial:
        return ()
    best = max(trajectory.initial, key=_reward)
    found = [trajectory.initial[0], best]
    for step in trajectory.steps:
        best = max((best, *step.candidates), key=_reward)
        found.append(best)
    return tuple(found)


class HeldOut:
    """The scores of the reward that guides nothing, kept in the file at *path*.

    Raises:
        StoreError: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(path)
        self._scores: dict[Key, float] = {}
        self.failures: dict[Key, str] = {}
        """Why responses got no score."""

    def value(self, query: Query, text: str) -> float | None:
        """The score of *text*; None if it has none."""
        key = _key(query, text)
        if key not in self._scores:
            there = self._journal.score(_scope(query), key[1])
            if there is None:
                return None
            self._scores[key] = there.value
        return self._scores[key]

    def is_whole(self, trajectories: Iterable[Trajectory]) -> bool:
        """Whether all that is looked at has its score, so that no model need be loaded."""
        return all(self.value(t.query, each.text) is not None for t in trajectories for each in watched(t))

    async def score(
        self, trajectories: Iterable[Trajectory], reward: Reward, *, concurrency: int = 64
    ) -> None:
        """Score what is looked at of *trajectories* and has no score yet, each on disk before it counts.

        A response that the reward refuses is noted among the failures.

        Raises:
            RewardError: a fatal one: no response will get a score.
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
        """Let the file go."""
        await self._journal.close()

    def _unscored(self, trajectory: Trajectory, asked: set[Key]) -> Iterator[str]:
        """The responses of *trajectory* that nothing has scored or *asked* for, which is told of them."""
        for text in (each.text for each in watched(trajectory)):
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
    """One place for all responses to a query: the text alone tells them apart."""
    return Scope(query.id, 0, "reward", 0)


def _key(query: Query, text: str) -> Key:
    messages: Messages = query.messages
    return query.id, request_hash(messages, text)
