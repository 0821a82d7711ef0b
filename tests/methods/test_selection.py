"""Which candidate is the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tpo.config import Settings, selection_identity, selection_of
from tpo.entry_points import SELECTION, load
from tpo.errors import ConfigError
from tpo.methods.catalog import bon
from tpo.methods.consensus import Consensus
from tpo.methods.optimize import Optimizer
from tpo.methods.selection import HighestReward, LowerConfidenceBound
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.calibration import Scale
from tpo.rewards.ensemble import Ensemble
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Candidate, Query, Scope, Score, user

QUERY = Query("q", (user("Hello?"),))


class Shortest:
    """A rule of the user's own."""

    name = "shortest"

    def select(self, query: Query, pool: Sequence[Candidate]) -> Candidate:
        assert query == QUERY
        return min(pool, key=lambda candidate: len(candidate.text))


def test_of_equal_rewards_the_earliest_is_the_answer() -> None:
    pool = [Candidate(0, index, text, Score(1.0)) for index, text in enumerate("ab")]
    assert HighestReward().select(QUERY, pool).id == "0.0"


def test_a_rule_of_the_users_own_chooses_and_is_named_in_the_record() -> None:
    policy = ScriptedPolicy({"sample": ["long answer", "short"]})
    optimizer = Optimizer(policy, ScriptedReward(), selection=Shortest(), stopping=[])
    trajectory = optimizer.run(QUERY)
    assert trajectory.error is not None  # nothing is scripted for the loss
    policy = ScriptedPolicy({"sample": ["long answer", "short"], "loss": "l", "gradient": "g", "update": "u"})
    trajectory = Optimizer(policy, ScriptedReward(), selection=Shortest()).run(QUERY)
    assert (trajectory.selection, trajectory.selected, trajectory.answer) == ("shortest", "0.1", "short")


def test_a_rule_that_fails_is_its_querys_failure() -> None:
    class Broken(Shortest):
        def select(self, query: Query, pool: Sequence[Candidate]) -> Candidate:
            raise KeyError("x")

    trajectory = Optimizer(ScriptedPolicy(), ScriptedReward(), selection=Broken()).run(QUERY)
    assert (trajectory.status, trajectory.selected) == ("failed", None)


@pytest.mark.parametrize("returned", [None, "a text", Candidate(0, 7, "a text of its own", Score(1.0))])
def test_a_rule_that_returns_no_candidate_of_the_pool_is_named(returned: Any) -> None:
    class Merging(Shortest):
        def select(self, query: Query, pool: Sequence[Candidate]) -> Candidate:
            chosen: Candidate = returned
            return chosen

    policy = ScriptedPolicy({"sample": "a"})
    trajectory = Optimizer(policy, ScriptedReward(), bon(), selection=Merging()).run(QUERY)
    assert trajectory.status == "failed"
    assert "selection 'shortest' must return a candidate of the pool" in str(trajectory.error)


def test_the_default_is_named_reward() -> None:
    assert load(SELECTION, "reward", "test")().name == "reward"
    assert Optimizer(ScriptedPolicy(), ScriptedReward()).run(QUERY).selection == "reward"


A, B = {"safe": 1.0, "divided": 3.0, "poor": 0.0}, {"safe": 10.0, "divided": -10.0, "poor": 0.0}
MEMBERS = {"a": ScriptedReward(A), "b": ScriptedReward(B)}
SCALES = {"a": Scale(0.0, 1.0), "b": Scale(0.0, 10.0)}


async def test_a_lower_confidence_bound_distrusts_what_divides_the_members() -> None:
    ensemble = Ensemble(MEMBERS, "mean", scales=SCALES)
    pool = []
    for index, text in enumerate(("poor", "divided", "safe")):
        pool.append(Candidate(0, index, text, Score(0.0, parts={"a": A[text], "b": B[text]})))
    # divided: mean of 3 and -1 is 1, as of safe; its deviation is 2.
    assert (await LowerConfidenceBound(ensemble).select(QUERY, pool)).text == "safe"
    raised = {"a": Scale(0.0, 0.1), "b": Scale(0.0, 1e9)}
    found = await LowerConfidenceBound(Ensemble(MEMBERS, "mean", scales=raised)).select(QUERY, pool[:2])
    assert found.text == "poor"  # 30 and 0: 15 - 15 is no more than 0, and the earlier one wins


async def test_a_lower_confidence_bound_weighs_members_and_puts_gates_first() -> None:
    gate = ScriptedReward({"safe": 0.9, "divided": 0.0, "poor": 1.0})
    heavy = Ensemble(MEMBERS, "mean", scales=SCALES, weights={"a": 100.0})
    gated = Ensemble(MEMBERS, "mean", scales=SCALES, weights={"a": 100.0}, gates={"g": gate})
    for ensemble, answer, last in ((heavy, "divided", "poor"), (gated, "safe", "divided")):
        pool = []
        for index, text in enumerate(("poor", "divided", "safe")):
            score = await ensemble.score(QUERY.messages, text, Scope("q", 0, "reward", index))
            pool.append(Candidate(0, index, text, score))
        found = LowerConfidenceBound(ensemble)
        assert (await found.select(QUERY, pool)).text == answer
        assert (await found.select(QUERY, [each for each in pool if each.text != answer])).text != last


def test_settings_build_the_selection() -> None:
    reward = ScriptedReward()
    assert selection_of(Settings(), reward) == HighestReward()
    assert selection_of(Settings(select="consensus"), reward) == Consensus()
    ensemble = Ensemble(MEMBERS, "mean", scales=SCALES)
    assert selection_of(Settings(select="lcb"), ensemble) == LowerConfidenceBound(ensemble)
    assert isinstance(selection_of(Settings(select=f"{__name__}:Shortest"), reward), Shortest)
    assert selection_identity(Settings()) == {}
    judged = Settings(select="tournament", select_judge="http://j")
    assert selection_identity(judged) == {"select": "tournament", "select_judge": "http://j"}
    named = Settings(select="tournament", select_judge="http://j#m")
    assert selection_identity(named) == {"select": "tournament", "select_judge": "judge:#m"}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (Settings(select="lcb"), "needs an ensemble"),
        (Settings(select="tournament"), "needs --select-judge"),
        (Settings(select_judge="http://j"), "is for --select tournament"),
        (Settings(select="best"), "--select best: unknown; there are reward, consensus, lcb, tournament"),
        (Settings(select="tournament", select_judge="http://me:secret@h"), "TPO_JUDGE_API_KEY"),
    ],
)
def test_a_selection_that_does_not_fit_is_refused(settings: Settings, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        selection_of(settings, ScriptedReward())
    assert "secret" not in str(caught.value)


async def test_a_reward_with_a_gate_is_no_ensemble_of_several() -> None:
    alone = Ensemble({"a": MEMBERS["a"]}, scales=SCALES, gates={"g": MEMBERS["b"]})
    with pytest.raises(ConfigError, match="needs an ensemble"):
        selection_of(Settings(select="lcb"), alone)
    with pytest.raises(ConfigError, match="needs an ensemble"):
        await LowerConfidenceBound(alone).select(QUERY, [])
