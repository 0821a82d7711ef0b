"""Selection: which candidate of the pool is the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import ClassVar, Protocol

from tpo.errors import ConfigError
from tpo.rewards.base import Reward
from tpo.rewards.ensemble import Ensemble
from tpo.types import Candidate, Query

NO_ENSEMBLE = "--select lcb needs an ensemble: name --reward twice or more"


class Selection(Protocol):
    """A rule that chooses the answer."""

    @property
    def name(self) -> str:
        """Its name in the record."""
        ...

    def select(self, query: Query, pool: Sequence[Candidate]) -> Candidate | Awaitable[Candidate]:
        """Return the answer to *query* from the scored candidates in *pool*, which holds at least one.

        It may be a coroutine.
        """
        ...


@dataclass(frozen=True)
class HighestReward:
    """The highest reward; of equal rewards the earliest candidate."""

    name: ClassVar[str] = "reward"

    def select(self, query: Query, pool: Sequence[Candidate]) -> Candidate:
        """Return the candidate with the highest reward."""
        del query
        return max(pool, key=lambda candidate: candidate.reward)


@dataclass(frozen=True)
class LowerConfidenceBound:
    """The highest mean minus standard deviation over the members of an ensemble (arXiv 2310.02743).

    The loop may be guided by another combination of the same members, such as their mean. Each member is
    standardised as the ensemble does it.
    """

    reward: Reward
    name: ClassVar[str] = "lcb"

    async def select(self, query: Query, pool: Sequence[Candidate]) -> Candidate:
        """Return the candidate with the highest lower confidence bound, the earliest of equals.

        Raises:
            ConfigError: the reward is no ensemble.
        """
        del query
        if not isinstance(self.reward, Ensemble):
            raise ConfigError(NO_ENSEMBLE)
        scales = await self.reward.scales()

        def bound(candidate: Candidate) -> float:
            parts = {} if candidate.score is None else candidate.score.parts
            values = [scales[name].standardised(value) for name, value in parts.items() if name in scales]
            return fmean(values) - pstdev(values) if values else candidate.reward

        return max(pool, key=bound)
