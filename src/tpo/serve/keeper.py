"""Keeper: stores trajectories of served requests in a run directory, which ``tpo view`` shows live.

Calls of requests in progress go through the journal, where the live view reads them; nothing resumes them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from tpo.clock import SteadyClock
from tpo.config import Settings, policy_identity, reward_identity
from tpo.errors import StoreError
from tpo.policies.base import Policy
from tpo.rewards.base import Reward
from tpo.store import RunDirectory
from tpo.store.journaled_models import STOPPED, JournaledPolicy, JournaledReward
from tpo.types import Trajectory

log = logging.getLogger(__name__)


class Keeper:
    """Appends each trajectory to *directory*; an equal request, which has the same id, is kept once."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._kept = 0
        self._in_progress: set[str] = set()

    @classmethod
    @asynccontextmanager
    async def opened(cls, path: Path, settings: Settings) -> AsyncIterator[Self]:
        """Open the run directory *path*, and note the end in it when the block ends.

        Raises:
            StoreError: it is in use, or holds another kind of run.
        """
        models = {"policy": policy_identity(settings), "reward": reward_identity(settings)}
        directory = RunDirectory.open(
            path,
            configuration=settings.to_json() | {"served": True},
            fingerprint={"served": True, **models},
            clock=SteadyClock(),
        )
        async with directory:
            await directory.journal.clear()  # what a killed process left: no answer may come from there
            keeper = cls(directory)
            try:
                yield keeper
            finally:
                await directory.end({"finished": keeper._kept}, directory.now(), interrupted=False)

    @asynccontextmanager
    async def recorded(
        self, id_: str, policy: Policy, reward: Reward
    ) -> AsyncIterator[tuple[Policy, Reward]]:
        """Yield *policy* and *reward* with their calls in the journal until the request *id_* ends.

        A request equal to one that is kept or in progress is not recorded again.
        """
        if id_ in self._directory.finished or id_ in self._in_progress:
            yield policy, reward
            return
        journal = self._directory.journal
        self._in_progress.add(id_)
        try:
            yield JournaledPolicy(policy, journal), JournaledReward(reward, journal)
        except BaseException:
            await asyncio.shield(self._abandon(id_))
            raise
        finally:
            self._in_progress.discard(id_)
            journal.settle(id_)

    async def _abandon(self, id_: str) -> None:
        """Note that *id_* ended without a trajectory; a disk that is full costs the note."""
        try:
            await self._directory.journal.decide(id_, 0, STOPPED, "abandoned")
        except StoreError as error:
            log.error("%s: %s", id_, error)

    async def keep(self, trajectory: Trajectory) -> None:
        """Append *trajectory*; a disk that is full costs the record, not the reply."""
        if trajectory.query.id in self._directory.finished:
            return
        try:
            await self._directory.append(trajectory)
        except StoreError as error:
            log.error("%s was not kept: %s", trajectory.query.id, error)
        else:
            self._kept += trajectory.status == "finished"
