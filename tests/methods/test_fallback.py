"""Fallbacks: the rest of the budget of a query whose first step had no readable update."""

from __future__ import annotations

import pytest

from tests.methods.own import QUERY
from tpo.methods.catalog import tpo
from tpo.methods.fallback import FALLBACKS, BestOfNFallback, Fallback, RevisionFallback
from tpo.methods.optimize import Optimizer
from tpo.methods.stopping import StoppingRule, TargetReward
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Completion, Trajectory, Usage


def optimized(
    fallback: Fallback | None,
    *,
    readable_from: int = 9,
    iterations: int = 3,
    tokens: int = 10,
    rules: list[StoppingRule] | None = None,
) -> tuple[Trajectory, ScriptedPolicy]:
    """Each completion has *tokens* written tokens; updates are readable from a step on."""

    def reply(call: PolicyCall, index: int) -> Completion:
        text = f"{call.scope.phase} {call.scope.step}.{index}"
        if call.scope.phase == "update" and call.scope.step >= readable_from:
            text = improved(text)
        return Completion(index, text, usage=Usage(completion_tokens=tokens))

    policy = ScriptedPolicy(reply)
    method = tpo(sample_size=2, max_iterations=iterations)
    optimizer = Optimizer(policy, ScriptedReward(), method, fallback=fallback, stopping=rules or [])
    return optimizer.run(QUERY), policy


def test_best_of_n_spends_the_completion_tokens_of_the_steps_left_on_more_samples() -> None:
    trajectory, policy = optimized(BestOfNFallback())
    # A step takes 40 completion tokens, a sample 10: two steps left buy 8 samples.
    assert [(call.scope.step, call.scope.phase, call.sampling.n) for call in policy.calls] == [
        (0, "sample", 2), (1, "loss", 1), (1, "gradient", 1), (1, "update", 2), (0, "sample", 8),
    ]  # fmt: skip
    assert policy.calls[-1].sampling.seed == policy.calls[0].sampling.seed + 2
    assert [candidate.id for candidate in trajectory.pool] == [f"0.{i}" for i in range(10)]
    assert [call.n for call in trajectory.first.calls] == [10]
    assert (trajectory.status, trajectory.stop_reason, trajectory.fallback) == (
        "finished",
        "no_readable_update",
        "best-of-n",
    )


def test_without_counted_tokens_completions_are_counted() -> None:
    _, policy = optimized(BestOfNFallback(), tokens=0)
    assert policy.calls[-1].sampling.n == 8  # 4 completions a step


def test_revision_takes_the_steps_left() -> None:
    trajectory, policy = optimized(RevisionFallback(), readable_from=2)
    assert [step.number for step in trajectory.steps] == [1, 2, 3]
    assert (trajectory.stop_reason, trajectory.fallback) == ("no_readable_update", "revision")
    losses = [call.messages[-1]["content"] for call in policy.calls if call.scope.phase == "loss"]
    assert "sample 0.1" in str(losses[0])  # the rejected response
    assert "sample 0" not in str(losses[1])


@pytest.mark.parametrize(
    ("fallback", "options"),
    [
        (None, {}),
        (BestOfNFallback(), {"readable_from": 1}),
        (BestOfNFallback(), {"iterations": 1}),
    ],
    ids=["none is set", "updates are readable", "no step is left"],
)
def test_no_fallback_takes_over(fallback: Fallback | None, options: dict[str, int]) -> None:
    trajectory, policy = optimized(fallback, **options)  # type: ignore[arg-type]
    assert (trajectory.stop_reason, trajectory.fallback) == ("max_iterations", None)
    assert len(policy.calls) == 1 + 3 * options.get("iterations", 3)


def test_a_later_step_without_an_update_is_no_reason() -> None:
    trajectory, _ = optimized(BestOfNFallback(), readable_from=1)
    assert trajectory.fallback is None


def test_stopping_rules_go_first() -> None:
    trajectory, _ = optimized(BestOfNFallback(), rules=[TargetReward(0.0)])
    assert (trajectory.stop_reason, trajectory.fallback) == ("target_reward", None)


def test_all_are_found_by_name() -> None:
    assert list(FALLBACKS) == ["best-of-n", "revision"]
