"""Comparison of two responses, and the protocol of a judge that makes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from tpo.types import Query, Usage


@dataclass(frozen=True, slots=True)
class PairComparison:
    """Result of a comparison.

    Attributes:
        probability: that the first response is better, the mean over the orders that were asked.
        shift: how much likelier the first response wins where it is shown first, in [-1, 1]; the order bias.
        usage: requests and tokens.
    """

    probability: float
    shift: float = 0.0
    usage: Usage = field(default_factory=Usage)

    @property
    def tokens(self) -> int:
        """Tokens of the requests."""
        return self.usage.tokens


class PairJudge(Protocol):
    """Judge of two responses, such as :class:`tpo.rewards.judge.pairwise.PairwiseJudge`."""

    async def comparison(self, query: Query, first: str, second: str) -> PairComparison:
        """Return how probably *first* is a better response to *query* than *second*.

        Raises:
            RewardError: the judge gave no answer; a fatal one if it will give none.
        """
        ...
