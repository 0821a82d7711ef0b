"""Selection by pairwise comparisons."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tpo.errors import RewardError, RewardRefused
from tpo.methods.catalog import bon
from tpo.methods.optimize import Optimizer
from tpo.methods.tournament import Tournament, distinct_best
from tpo.policies.scripted import ScriptedPolicy
from tpo.report.overview import overview
from tpo.report.partial_run import read_partial_run
from tpo.report.prices import Prices
from tpo.rewards.judge.comparison import PairComparison
from tpo.rewards.scripted import ScriptedReward
from tpo.runs import fingerprint, run_queries
from tpo.runs.summary import summarize
from tpo.store import RunDirectory, read_trajectories
from tpo.types import Candidate, Query, Score, Trajectory, Usage, user

QUERY = Query("q", (user("?"),))


class Judge:
    """Prefers the text that stands later in *order*, with certainty *sure*."""

    def __init__(self, order: str, sure: float = 0.9, failure: Exception | None = None) -> None:
        self.order, self.sure, self.failure = order, sure, failure
        self.games: list[tuple[str, str]] = []

    async def comparison(self, query: Query, first: str, second: str) -> PairComparison:
        self.games.append((first, second))
        if self.failure is not None:
            raise self.failure
        won = self.order.index(first) > self.order.index(second)
        return PairComparison(self.sure if won else 1 - self.sure, usage=Usage(2, 30, 10, 2))


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
    twice = [*pool("abc"), Candidate(1, 0, "a", Score(-9.0))]  # its other copy is the worst of all
    assert [c.id for c in distinct_best(twice, 2)] == ["0.0", "0.1"]
    judge = Judge("abcdef")
    assert (await Tournament(judge, contestants=3).select(QUERY, pool("abcdef"))).text == "c"


async def test_failed_comparisons_are_draws_and_a_fatal_failure_is_raised() -> None:
    assert (await Tournament(Judge("abc", failure=RewardError("x"))).select(QUERY, pool("abc"))).text == "a"
    with pytest.raises(RewardRefused):
        await Tournament(Judge("abc", failure=RewardRefused("x"))).select(QUERY, pool("abc"))


def test_an_attempt_awaits_the_selection_and_records_it() -> None:
    policy = ScriptedPolicy({"sample": ["a", "b", "cc"]})
    selection = Tournament(judge := Judge("ccba"))
    trajectory = Optimizer(policy, ScriptedReward(), bon(sample_size=3), selection=selection).run("?")
    assert (trajectory.selection, trajectory.answer) == ("tournament", "a")
    games = judge.games
    assert len(set(games)) == len(games) <= 6, "a game of the ring is not repeated"
    count = len(games)
    assert trajectory.selection_usage == Usage(2 * count, 30 * count, 10 * count, 2 * count)
    assert Trajectory.from_dict(trajectory.to_dict()) == trajectory


def test_a_run_that_is_interrupted_during_a_selection_makes_no_comparison_again(tmp_path: Path) -> None:
    class Interrupted(Judge):
        async def comparison(self, query: Query, first: str, second: str) -> PairComparison:
            if len(self.games) == 7:
                raise RewardRefused("the key has ended")
            return await super().comparison(query, first, second)

    async def run(judge: Judge) -> Trajectory:
        policy, method = ScriptedPolicy({"sample": list("abcde")}), bon(sample_size=5)
        marks = fingerprint(method, seed=7, data="made", policy="scripted", reward="scripted")
        noted = {"select": "tournament", "select_judge": "http://judge/v1"}
        async with RunDirectory.open(tmp_path / "run", configuration=noted, fingerprint=marks) as directory:
            selection = Tournament(judge)
            await run_queries([QUERY], policy, ScriptedReward(), method, directory, selection=selection)
        (found,) = read_trajectories(tmp_path / "run")
        return found

    first, second = Interrupted("dbeca"), Judge("dbeca")
    with pytest.raises(RewardRefused):
        asyncio.run(run(first))
    trajectory = asyncio.run(run(second))
    assert (len(first.games), trajectory.answer) == (7, "a")
    games = {*first.games, *second.games}
    assert len(games) == 7 + len(second.games) <= 12
    assert trajectory.selection_usage.calls == 2 * len(games)
    summary = summarize(tmp_path / "run")
    assert summary.roles["judge"] == trajectory.selection_usage
    assert sum(summary.usage.values(), Usage()) == summary.roles["writer"]
    prices = Prices(1.0, 2.0, roles={"judge": Prices(10.0, 20.0)})
    head = overview("run", read_partial_run(tmp_path / "run"), summary, prices)
    roles = {row["role"]: row["cost"] for row in head["roles"]}
    assert roles["judge"] == pytest.approx(prices.of("judge").cost(trajectory.selection_usage))
    assert [row["phase"] for row in head["phases"]] == ["sample", "selection", "all"]
    assert head["phases"][-1]["cost"] == pytest.approx(roles["judge"] + roles["writer"])
