"""Selection by a tournament of pairwise comparisons (probabilistic pivot tournament, arXiv 2607.05391)."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from tpo.errors import RewardError
from tpo.rewards.judge.comparison import PairJudge
from tpo.types import Candidate, Query

log = logging.getLogger(__name__)

CONTESTANTS = 5
"""Responses that play, the best by reward: 12 comparisons."""


@dataclass(frozen=True)
class Tournament:
    """The response that wins most against the others, by *judge*.

    The best *contestants* responses by reward are put in a random ring, and each plays its successor. The two
    with the most soft wins become pivots; everyone plays them. N contestants take 3N - 3 comparisons. The
    ring's order derives from the query's id. A comparison that fails counts as a draw.
    """

    judge: PairJudge
    contestants: int = CONTESTANTS
    name: ClassVar[str] = "tournament"

    def judged_by(self, judge: PairJudge) -> Tournament:
        """Return the same selection with *judge*."""
        return replace(self, judge=judge)

    async def select(self, query: Query, pool: Sequence[Candidate]) -> Candidate:
        """Return the winner; of equals the one with the higher reward."""
        players = distinct_best(pool, self.contestants)
        seed = hashlib.blake2b(query.id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        random.Random(seed).shuffle(players)  # noqa: S311 - an order, not a secret
        table = _Table(self.judge, query, players)
        count = len(players)
        if count > 1:
            await table.play([(place, (place + 1) % count) for place in range(count)])
            first, second, *others = sorted(range(count), key=table.rank, reverse=True)
            games = [(other, pivot) for other in others for pivot in (first, second)]
            await table.play([*games, (first, second)])
        return players[max(range(count), key=table.rank)]


class _Table:
    """Soft wins and games of the players."""

    def __init__(self, judge: PairJudge, query: Query, players: Sequence[Candidate]) -> None:
        self._judge = judge
        self._query = query
        self._players = players
        self._wins = [0.0] * len(players)
        self._games = [0] * len(players)

    def rank(self, place: int) -> tuple[float, float]:
        """Return the share of soft wins of a player, then its reward."""
        games = self._games[place]
        return (self._wins[place] / games if games else 0.0, self._players[place].reward)

    async def play(self, games: Sequence[tuple[int, int]]) -> None:
        """Play *games* at once and count them in order."""
        results = await asyncio.gather(*(self._compare(*game) for game in games))
        for (first, second), won in zip(games, results, strict=True):
            self._wins[first] += won
            self._wins[second] += 1 - won
            self._games[first] += 1
            self._games[second] += 1

    async def _compare(self, first: int, second: int) -> float:
        try:
            texts = self._players[first].text, self._players[second].text
            return (await self._judge.comparison(self._query, *texts)).probability
        except RewardError as error:
            if error.fatal:
                raise
            log.warning("query %r: a comparison counts as a draw: %s", self._query.id, error)
            return 0.5


def distinct_best(pool: Sequence[Candidate], count: int) -> list[Candidate]:
    """Return the *count* best candidates by reward with different texts, the best first."""
    best: dict[str, Candidate] = {}
    for candidate in sorted(pool, key=lambda candidate: -candidate.reward):
        best.setdefault(candidate.text, candidate)
    return list(best.values())[:count]
