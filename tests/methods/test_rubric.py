"""The failed criteria of the chosen response as the textual loss."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tpo.errors import RewardRefused
from tpo.methods.optimize import Optimizer
from tpo.methods.rubric import best_sibling, failed_criteria, rubric
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Call, Candidate, Messages, Query, Scope, Score, assistant, plain_text, user

QUERY = Query("q1", (user("Say $hello {x}."),))
CHOSEN = Candidate(0, 0, "chosen", Score(0.7, criteria={"kind": 0.95, "brief": 0.2, "true": 0.6}))
SIBLING = Candidate(0, 1, "sibling", Score(0.5, criteria={"kind": 0.1, "brief": 0.9, "true": 0.4}))
WORSE = Candidate(0, 2, "worse", Score(0.1, criteria={"kind": 0.1, "brief": 0.3, "true": 0.1}))


class Checked:
    """Scores by how many of the words *kind* and *brief* a response holds."""

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        criteria: Mapping[str, float] = {word: float(word in response) for word in ("kind", "brief")}
        return Score(sum(criteria.values()), criteria=criteria)


async def test_no_loss_is_asked_for_and_a_round_trip_is_saved() -> None:
    policy = ScriptedPolicy({"sample": ["kind", "brief"], "gradient": "be brief", "update": "unreadable"})
    method = rubric(sample_size=2, max_iterations=2)
    trajectory = await Optimizer(policy, Checked(), method).optimize(QUERY)
    assert [call.scope.phase for call in policy.calls] == [
        "sample",
        "gradient",
        "update",
        "gradient",
        "update",
    ]
    assert trajectory.stop_reason == "max_iterations"
    assert trajectory.steps[0].pair is not None


async def test_it_ends_when_every_criterion_is_met() -> None:
    update = "<improved_response>kind and brief</improved_response>"
    policy = ScriptedPolicy({"sample": "kind", "gradient": "be brief", "update": update})
    trajectory = await Optimizer(policy, Checked(), rubric(sample_size=1, max_iterations=3)).optimize(QUERY)
    assert trajectory.stop_reason == "criteria_met"
    assert len(trajectory.steps) == 1
    assert trajectory.answer == "kind and brief"


async def test_a_reward_without_criteria_ends_the_run_with_one_sentence() -> None:
    with pytest.raises(RewardRefused, match="this reward gives none: use --reward rubric:FILE@URL"):
        await Optimizer(ScriptedPolicy(), ScriptedReward(), rubric()).optimize(QUERY)


def test_the_failed_criteria_come_the_least_met_first() -> None:
    assert list(failed_criteria(CHOSEN)) == ["brief", "true"]


def test_the_best_sibling_meets_what_the_chosen_one_fails() -> None:
    assert best_sibling(CHOSEN, [CHOSEN, WORSE, SIBLING]) is SIBLING
    assert best_sibling(CHOSEN, [CHOSEN, WORSE]) is None


def test_the_prompt_names_what_fails_and_what_the_sibling_meets() -> None:
    prompt = rubric().gradient_prompt(QUERY, CHOSEN, SIBLING)
    assert prompt[:-1] == (*QUERY.messages, assistant("chosen"))
    text = plain_text(prompt[-1])
    assert (
        text.index("brief (met to 20%)") < text.index("true (met to 60%)") < text.index("brief (met to 90%)")
    )
    assert "kind" not in text
    assert "sibling" in text
    said = Call.answered("gradient", prompt, "shorten it")
    assert rubric().update_prompt(QUERY, CHOSEN, said)[:-1] == (*prompt, assistant("shorten it"))


def test_without_a_sibling_no_other_response_is_shown() -> None:
    text = plain_text(rubric().gradient_prompt(QUERY, CHOSEN, None)[-1])
    assert "brief (met to 20%)" in text
    assert "other" not in text
