"""Selection by pairwise comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tpo.errors import RewardError, RewardRefused
from tpo.methods.catalog import bon
from tpo.methods.optimize import Optimizer
from tpo.methods.tournament import Tournament, distinct_best
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Candidate, Query, Score, user

QUERY = Query("q", (user("?"),))


class Judge:
    """Prefers the text that stands later in *order*, with certainty *sure*."""

    def __init__(self, order: str, sure: float = 0.9, failure: Exception | None = None) -> None:
        self.order, self.sure, self.failure = order, sure, failure
        self.games: list[tuple[str, str]] = []

    async def compare(self, query: Query, first: str, second: str) -> float:
        self.games.append((first, second))
        if self.failure is not None:
            raise self.failure
        return self.sure if self.order.index(first) > self.order.index(second) else 1 - self.sure


def pool(texts: Sequence[str]) -> list[Candidate]:
    return [Candidate(0, i, text, Score(-float(i))) for i, text in enumerate(texts)]


@pytest.mark.parametrize(("count", "games"), [(1, 0), (2, 3), (3, 6), (5, 12)])
async def test_n_responses_take_3n_minus_3_comparisons(count: int, games: int) -> None:
    judge = Judge("abcde")
    winner = await Tournament(judge).select(QUERY, pool("abcde"[:count]))
    assert len(judge.games) == games
    assert winner.text == "abcde"[count - 1]


@pytest.mark.parametrize("query", [f"q{i}" for i in range(8)])
async def test_the_judges_favourite_wins_in_every_order_of_the_ring(query: str) -> None:
    winner = await Tournament(Judge("dbeca")).select(Query(query, (user("?"),)), pool("abcde"))
    assert winner.text == "a"


async def test_everyone_plays_its_successor_then_both_pivots() -> None:
    judge = Judge("abcde")
    await Tournament(judge).select(QUERY, pool("abcde"))
    ring, finals = judge.games[:5], judge.games[5:]
    assert sorted(first for first, _ in ring) == sorted(second for _, second in ring) == list("abcde")
    assert [second for _, second in ring] == [first for first, _ in (*ring[1:], ring[0])]
    pivots = {text for game in finals for text in game if sum(text in g for g in finals) == 4}
    assert len(pivots) == 2


async def test_the_order_is_the_same_each_time_and_another_for_another_query() -> None:
    games = []
    for query in ("q", "q", "r"):
        judge = Judge("abcde")
        await Tournament(judge).select(Query(query, (user("?"),)), pool("abcde"))
        games.append(judge.games)
    assert games[0] == games[1]
    assert games[0] != games[2]


async def test_only_the_best_different_texts_play() -> None:
    assert [c.id for c in distinct_best(pool("aabcde"), 3)] == ["0.0", "0.2", "0.3"]
    judge = Judge("abcdef")
    assert (await Tournament(judge, contestants=3).select(QUERY, pool("abcdef"))).text == "c"


async def test_failed_comparisons_are_draws_and_a_fatal_failure_is_raised() -> None:
    assert (await Tournament(Judge("abc", failure=RewardError("x"))).select(QUERY, pool("abc"))).text == "a"
    with pytest.raises(RewardRefused):
        await Tournament(Judge("abc", failure=RewardRefused("x"))).select(QUERY, pool("abc"))


def test_an_attempt_awaits_the_selection_and_records_it() -> None:
    policy = ScriptedPolicy({"sample": ["a", "b", "cc"]})
    selection = Tournament(Judge("cc b a".replace(" ", "")))
    trajectory = Optimizer(policy, ScriptedReward(), bon(sample_size=3), selection=selection).run("?")
    assert (trajectory.selection, trajectory.answer) == ("tournament", "a")
