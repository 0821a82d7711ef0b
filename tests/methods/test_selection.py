"""Which candidate is the answer."""

from __future__ import annotations

from collections.abc import Sequence

from tpo.entry_points import SELECTION, load
from tpo.methods.optimize import Optimizer
from tpo.methods.selection import HighestReward
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Candidate, Query, Score, user

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


def test_the_default_is_named_reward() -> None:
    assert load(SELECTION, "reward", "test")().name == "reward"
    assert Optimizer(ScriptedPolicy(), ScriptedReward()).run(QUERY).selection == "reward"
