"""Textual model predictive control (arXiv 2502.20795): scored segments, a buffer, new responses from it."""

import pytest

from tpo.errors import RewardError
from tpo.methods.optimize import Optimizer
from tpo.methods.tmpc import segments, tmpc
from tpo.policies.scripted import ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Messages, Scope, Score, plain_text

SAMPLES = ["Good one. Poor.", "Middling. Best of all of them."]


@pytest.mark.parametrize(
    ("text", "parts"),
    [("One. Two!\nThree", ["One.", "Two!", "Three"]), ("A. B.\n\nC.", ["A. B.", "C."]), (" ", [])],
)
def test_a_response_is_cut_into_paragraphs_or_sentences(text: str, parts: list[str]) -> None:
    assert segments(text) == parts


def test_the_best_segments_are_kept_over_rounds_and_shown_best_first() -> None:
    update = improved("Poor. A part that is longer than any.")
    policy = ScriptedPolicy({"sample": SAMPLES, "update": update})
    trajectory = Optimizer(policy, ScriptedReward(), tmpc(sample_size=2, max_iterations=2)).run("Hello?")
    first, second = (plain_text(call.messages[-1]) for call in policy.calls[1:])
    assert "<part_1>\nBest of all of them.\n</part_1>\n\n<part_2>\nGood one.\n" in first
    assert "Poor." not in first
    assert "<part_1>\nA part that is longer than any.\n</part_1>\n\n<part_2>\nBest of all" in second
    assert trajectory.reward_usage.calls == 2 + 4 + 2 + 1 + 2, "each different segment is scored once"


def test_a_reward_that_reads_the_row_has_it_for_segments_too() -> None:
    class Reading(ScriptedReward):
        async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
            if scope.data is None:
                raise RewardError("no row")
            return await super().score(messages, response, scope)

    policy = ScriptedPolicy({"sample": SAMPLES, "update": improved("x")})
    Optimizer(policy, Reading(), tmpc(sample_size=2, max_iterations=1)).run("Hello?")
    assert "<part_1>\nBest of all of them.\n</part_1>" in plain_text(policy.calls[1].messages[-1])


def test_a_segment_that_the_reward_refuses_is_not_kept() -> None:
    policy = ScriptedPolicy({"sample": SAMPLES, "update": improved("x")})
    reward = ScriptedReward(failures={"Best of all of them.": RewardError("too long")})
    trajectory = Optimizer(policy, reward, tmpc(sample_size=2, max_iterations=1)).run("Hello?")
    assert "Best of all of them." not in plain_text(policy.calls[1].messages[-1])
    assert trajectory.status == "finished"


def test_a_reward_that_is_gone_ends_the_query() -> None:
    policy = ScriptedPolicy({"sample": SAMPLES, "update": improved("x")})
    reward = ScriptedReward(failures={"Good one.": ValueError("a bug")})
    trajectory = Optimizer(policy, reward, tmpc(sample_size=2, max_iterations=1)).run("Hello?")
    assert "a bug" in str(trajectory.error)
