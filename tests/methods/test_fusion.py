"""Fusion of N samples (arXiv 2510.00931): one call over all samples, scored into the pool."""

import pytest

from tpo.methods.fusion import fusion
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Trajectory, plain_text


def fused(text: str) -> tuple[Trajectory, ScriptedPolicy]:
    """Run on three samples, two of which are the same, and a fusion that reads *text*."""
    policy = ScriptedPolicy({"sample": ["short", "longer one", "short"], "fusion": improved(text)})
    return Optimizer(policy, ScriptedReward(), fusion(sample_size=3)).run("Hello?"), policy


def test_one_call_sees_every_different_sample_once_the_best_as_its_own_turn() -> None:
    trajectory, policy = fused("the longest of all")
    assert [(call.scope.phase, call.sampling.n) for call in policy.calls] == [("sample", 3), ("fusion", 1)]
    query, own, request = map(plain_text, policy.calls[1].messages)
    assert (query, own) == ("Hello?", "longer one")
    assert request.count("short") == 1
    assert trajectory.answer == "the longest of all"
    assert trajectory.steps[0].candidates[0].parents == ("0.0", "0.1")


def test_a_fusion_that_is_worse_does_not_win() -> None:
    assert fused("bad")[0].answer == "longer one"


def test_a_single_text_is_refined_and_no_others_are_announced() -> None:
    policy = ScriptedPolicy({"sample": "short", "fusion": improved("the longest of all")})
    trajectory = Optimizer(policy, ScriptedReward(), fusion(sample_size=3)).run("Hello?")
    request = plain_text(policy.calls[1].messages[-1])
    assert "other answers" not in request
    assert "several" not in request
    assert "<improved_response>" in request
    assert trajectory.answer == "the longest of all"


@pytest.mark.parametrize(("asked", "depth"), [(0, 0), (1, 1), (4, 1)])
def test_the_samples_are_fused_once_at_most(asked: int, depth: int) -> None:
    assert fusion(max_iterations=asked).max_iterations == depth
