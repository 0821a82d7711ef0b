"""Selection: which candidate of the pool is the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from tpo.errors import ConfigError
from tpo.rewards.base import Reward
from tpo.rewards.ensemble import Ensemble, combined
from tpo.rewards.judge.comparison import PairComparison, PairJudge
from tpo.types import Candidate, Query, Usage

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


@runtime_checkable
class JudgedSelection(Selection, Protocol):
    """A selection by comparisons of a judge, which is journaled and whose usage is counted."""

    @property
    def judge(self) -> PairJudge:
        """The judge."""
        ...

    def judged_by(self, judge: PairJudge) -> Selection:
        """Return the same selection with *judge*."""
        ...


@dataclass
class CountedJudge:
    """Middleware for one query: adds up the usage of *judge*, which compares two texts in one order once."""

    judge: PairJudge
    usage: Usage = field(default_factory=Usage)
    _known: dict[tuple[str, str], PairComparison] = field(default_factory=dict)

    async def comparison(self, query: Query, first: str, second: str) -> PairComparison:
        """Return the comparison of *judge*."""
        if (first, second) not in self._known:
            found = self._known[first, second] = await self.judge.comparison(query, first, second)
            self.usage += found.usage
        return self._known[first, second]


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
    standardised and weighted as the ensemble does it, and a response that fails a gate is below every one
    that fails fewer.
    """

    reward: Reward
    name: ClassVar[str] = "lcb"

    async def select(self, query: Query, pool: Sequence[Candidate]) -> Candidate:
        """Return the candidate with the highest lower confidence bound, the earliest of equals.

        Raises:
            ConfigError: the reward is no ensemble of several members.
        """
        del query
        ensemble = self.reward
        if not isinstance(ensemble, Ensemble) or len(ensemble.members) < 2:
            raise ConfigError(NO_ENSEMBLE)
        scales = await ensemble.scales()

        def rank(candidate: Candidate) -> tuple[int, float]:
            parts = {} if candidate.score is None else candidate.score.parts
            names = [name for name in ensemble.members if name in parts]
            values = [scales[name].standardised(parts[name]) for name in names]
            weights = [ensemble.weights[name] for name in names]
            bound = combined(values, "lcb", weights) if values else candidate.reward
            return -ensemble.failed_gates(candidate.reward), bound

        return max(pool, key=rank)
