"""Selection: which candidate of the pool is the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from tpo.types import Candidate, Query


class Selection(Protocol):
    """A rule that chooses the answer."""

    @property
    def name(self) -> str:
        """Its name in the record."""
        ...

    def select(self, query: Query, pool: Sequence[Candidate]) -> Candidate:
        """Return the answer to *query* from the scored candidates in *pool*, which holds at least one."""
        ...


@dataclass(frozen=True)
class HighestReward:
    """The highest reward; of equal rewards the earliest candidate."""

    name: ClassVar[str] = "reward"

    def select(self, query: Query, pool: Sequence[Candidate]) -> Candidate:
        """Return the candidate with the highest reward."""
        del query
        return max(pool, key=lambda candidate: candidate.reward)
