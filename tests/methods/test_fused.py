"""Loss and gradient in one call."""

import asyncio

import pytest

from tpo.methods.optimize import Optimizer
from tpo.methods.recipes import build_recipe
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Candidate, Feedback, Pair, Query, Score, assistant, plain_text, user

CHOSEN = Candidate(0, 1, "the chosen one", Score(2.0))
REJECTED = Candidate(0, 2, "the other one", Score(-2.0))
QUERY = Query("q1", (user("Say $hello {x}."),))


def test_one_call_is_saved_an_iteration_and_the_critique_stands_as_the_gradient() -> None:
    policy = ScriptedPolicy()
    recipe = build_recipe("fused", sample_size=2, max_iterations=2)
    trajectory = asyncio.run(Optimizer(policy, ScriptedReward(), recipe).optimize(QUERY))
    phases = [call.scope.phase for call in policy.calls]
    assert phases == ["sample", "gradient", "update", "gradient", "update"]
    assert [step.loss for step in trajectory.steps] == [Feedback(), Feedback()]
    assert all(step.gradient.text for step in trajectory.steps)
    assert trajectory.stop_reason == "max_iterations"


def test_each_prompt_is_a_prefix_of_the_next() -> None:
    recipe = build_recipe("fused")
    asked = recipe.gradient(QUERY, Pair(CHOSEN, REJECTED), Feedback())
    assert asked[:-1] == (*QUERY.messages, assistant("the chosen one"))
    update = recipe.update(QUERY, Pair(CHOSEN, REJECTED), Feedback(), Feedback(asked, "shorten it"))
    assert update[:-1] == (*asked, assistant("shorten it"))


@pytest.mark.parametrize(("rejected", "shown"), [(REJECTED, True), (None, False)])
def test_the_other_response_is_shown_where_there_is_one(rejected: Candidate | None, shown: bool) -> None:
    asked = build_recipe("fused").gradient(QUERY, Pair(CHOSEN, rejected), Feedback())
    assert ("the other one" in plain_text(asked[-1])) is shown
