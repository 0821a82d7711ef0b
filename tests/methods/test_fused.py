"""Loss and gradient in one call."""

import asyncio

import pytest

from tpo.methods.catalog import fused
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Call, Candidate, Pair, Query, Score, assistant, plain_text, user

CHOSEN = Candidate(0, 1, "the chosen one", Score(2.0))
REJECTED = Candidate(0, 2, "the other one", Score(-2.0))
QUERY = Query("q1", (user("Say $hello {x}."),))


def test_one_call_is_saved_an_iteration() -> None:
    policy = ScriptedPolicy()
    method = fused(sample_size=2, max_iterations=2)
    trajectory = asyncio.run(Optimizer(policy, ScriptedReward(), method).optimize(QUERY))
    phases = [call.scope.phase for call in policy.calls]
    assert phases == ["sample", "gradient", "update", "gradient", "update"]
    assert [[call.phase for call in step.calls] for step in trajectory.steps] == [["gradient", "update"]] * 2
    assert all(step.calls[0].text for step in trajectory.steps)
    assert trajectory.stop_reason == "max_iterations"


def test_each_prompt_is_a_prefix_of_the_next() -> None:
    method = fused()
    critique = method.critique_prompt(QUERY, Pair(CHOSEN, REJECTED))
    assert critique[:-1] == (*QUERY.messages, assistant("the chosen one"))
    said = Call.answered("gradient", critique, "shorten it")
    update = method.update_prompt(QUERY, Pair(CHOSEN, REJECTED), said)
    assert update[:-1] == (*critique, assistant("shorten it"))


@pytest.mark.parametrize(("rejected", "shown"), [(REJECTED, True), (None, False)])
def test_the_other_response_is_shown_where_there_is_one(rejected: Candidate | None, shown: bool) -> None:
    critique = fused().critique_prompt(QUERY, Pair(CHOSEN, rejected))
    assert ("the other one" in plain_text(critique[-1])) is shown
