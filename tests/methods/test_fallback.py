"""Fallbacks: the rest of the budget of a query whose first step had no readable update."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.methods.own import QUERY
from tpo.errors import PolicyError
from tpo.methods.catalog import tpo
from tpo.methods.fallback import FALLBACKS, BestOfNFallback, Fallback, RevisionFallback
from tpo.methods.optimize import Optimizer
from tpo.methods.selection import Selection
from tpo.methods.stopping import Plateau, StoppingRule, TargetReward, TokenBudget
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Candidate, Completion, Query, Scope, Trajectory, Usage


def optimized(
    fallback: Fallback | None,
    *,
    readable_from: int = 9,
    iterations: int = 3,
    sample_size: int = 2,
    tokens: int = 10,
    longer: int = 1,
    selection: Selection | None = None,
    failures: dict[Scope, Exception] | None = None,
    earlier: Trajectory | None = None,
    rules: list[StoppingRule] | None = None,
) -> tuple[Trajectory, ScriptedPolicy]:
    """Completions have *tokens* written tokens, in steps *longer* times as many.

    Updates are readable from a step on.
    """

    def reply(call: PolicyCall, index: int) -> Completion:
        text = f"{call.scope.phase} {call.scope.step}.{index}"
        if call.scope.phase == "update" and call.scope.step >= readable_from:
            text = improved(text)
        written = tokens * longer if call.scope.step else tokens
        return Completion(index, text, usage=Usage(completion_tokens=written))

    policy = ScriptedPolicy(reply, failures=failures)
    method = tpo(sample_size=sample_size, max_iterations=iterations)
    optimizer = Optimizer(
        policy, ScriptedReward(), method, fallback=fallback, stopping=rules or [], selection=selection
    )
    return asyncio.run(optimizer.optimize(QUERY, earlier=earlier)), policy


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


def test_best_of_n_draws_at_most_128_and_stays_within_its_seeds() -> None:
    trajectory, policy = optimized(BestOfNFallback(), longer=1000)
    assert policy.calls[-1].sampling.n == 128
    assert len(trajectory.pool) == 130
    _, policy = optimized(BestOfNFallback(), longer=1000, sample_size=1000)
    assert policy.calls[-1].sampling.n == 24  # of 1,024


class Broken:
    """A selection that fails."""

    name = "broken"

    def select(self, query: Query, pool: Sequence[Candidate]) -> Candidate:
        raise KeyError(query.id)


@pytest.mark.parametrize(
    ("failing", "calls"),
    [({"failures": {Scope("q7", 0, "sample", 5): PolicyError("gone")}}, [8]), ({"selection": Broken()}, [])],
    ids=["during the draw", "after the draw"],
)
def test_a_query_that_failed_in_its_fallback_repeats_the_decision(
    failing: dict[str, Any], calls: list[int]
) -> None:
    whole, _ = optimized(BestOfNFallback())
    failed, _ = optimized(BestOfNFallback(), **failing)
    assert (failed.status, failed.fallback) == ("failed", "best-of-n")
    again, policy = optimized(BestOfNFallback(), earlier=failed)
    assert [call.sampling.n for call in policy.calls] == calls
    assert replace(again, timing=whole.timing) == whole


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


def test_revision_has_the_texts_that_the_method_has(tmp_path: Path) -> None:
    (tmp_path / "update.txt").write_text("Write better: $query")
    policy = ScriptedPolicy({"sample": "a", "loss": "l", "gradient": "g", "update": "unreadable"})
    method = tpo(prompts=tmp_path, sample_size=2, max_iterations=2)
    Optimizer(policy, ScriptedReward(), method, fallback=RevisionFallback()).run(QUERY)
    asked = [call.messages[-1]["content"] for call in policy.calls if call.scope.phase == "update"]
    assert len(asked) == 2
    assert all(str(text).startswith("Write better: ") for text in asked)


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


def test_a_plateau_does_not_forestall_a_fallback_and_counts_from_it_on() -> None:
    trajectory, policy = optimized(BestOfNFallback(), rules=[Plateau(1)])
    assert (trajectory.stop_reason, trajectory.fallback) == ("no_readable_update", "best-of-n")
    assert policy.calls[-1].sampling.n == 8
    trajectory, _ = optimized(RevisionFallback(), rules=[Plateau(1)])
    assert (trajectory.stop_reason, trajectory.fallback) == ("plateau", "revision")
    assert len(trajectory.steps) == 2
    trajectory, _ = optimized(None, rules=[Plateau(1)])
    assert (trajectory.stop_reason, len(trajectory.steps)) == ("plateau", 1)


def test_a_budget_that_is_spent_goes_before_a_fallback() -> None:
    trajectory, _ = optimized(BestOfNFallback(), rules=[Plateau(1), TokenBudget(30)])
    assert (trajectory.stop_reason, trajectory.fallback) == ("token_budget", None)
    assert len(trajectory.steps) == 1


def test_stopping_rules_go_first() -> None:
    trajectory, _ = optimized(BestOfNFallback(), rules=[TargetReward(0.0)])
    assert (trajectory.stop_reason, trajectory.fallback) == ("target_reward", None)


def test_all_are_found_by_name() -> None:
    assert list(FALLBACKS) == ["best-of-n", "revision"]
