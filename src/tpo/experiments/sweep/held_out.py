"""Scores of a held-out reward, which guides no run and is computed afterwards.

It scores the first samples of each trajectory, of which the very first is the unaligned answer and all give
the curve of best-of-n, and the best of the pool after each step.
If the guiding reward keeps rising and the held-out reward does not, the loop exploits the guiding reward:
over-optimization.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from tpo.experiments.score_store import ScoreStore
from tpo.rewards.base import Reward
from tpo.types import Candidate, Query, Trajectory


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

    *columns* are those of the data that it reads.

    Raises:
        StoreError: the file cannot be used.
    """

    def __init__(self, path: Path, columns: Collection[str] = ()) -> None:
        self._store = ScoreStore(path, columns)
        self.failures = self._store.failures
        """Reasons why responses have no score."""
        self.value = self._store.value
        """Function from a query and a response to the score, or None if it has none."""

    def is_complete(self, trajectories: Iterable[Trajectory]) -> bool:
        """Return whether all responses to score have a score, so that no model needs to be loaded."""
        return all(self.value(query, text) is not None for query, text in _responses(trajectories))

    async def score(
        self, trajectories: Iterable[Trajectory], reward: Reward, *, concurrency: int = 64
    ) -> None:
        """Score the responses of *trajectories* that have no score; see :meth:`ScoreStore.score`.

        Raises:
            RewardError: a fatal error, after which no response can be scored.
        """
        await self._store.score(_responses(trajectories), reward, concurrency=concurrency)

    async def close(self) -> None:
        """Close the file."""
        await self._store.close()


def _responses(trajectories: Iterable[Trajectory]) -> Iterator[tuple[Query, str]]:
    for trajectory in trajectories:
        for candidate in scored_candidates(trajectory):
            yield trajectory.query, candidate.text


def _reward(candidate: Candidate) -> float:
    return candidate.reward
