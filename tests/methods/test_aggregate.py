"""Recursive self-aggregation (arXiv 2509.26626): populations, random subsets, several loops."""

from collections import Counter
from random import Random

import pytest

from tpo.methods.aggregate import Aggregate, aggregate, aggregate_weighted
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import PolicyCall, Reply, ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Candidate, Phase, Score, Trajectory


def attempt_text(call: PolicyCall, index: int) -> str:
    return improved(f"step {call.scope.step} branch {call.scope.branch}")


SCRIPT: dict[Phase | tuple[Phase, int], Reply] = {
    "sample": ["one", "two", "three", "four"],
    "aggregate": attempt_text,
}


def run(seed: int = 7, subset_size: int = 2) -> tuple[Trajectory, ScriptedPolicy]:
    policy = ScriptedPolicy(SCRIPT)
    method = aggregate(sample_size=4, max_iterations=2, subset_size=subset_size)
    return Optimizer(policy, ScriptedReward(), method, seed=seed).run("Hello?"), policy


def test_each_loop_writes_n_responses_from_n_subsets_of_the_population_before_it() -> None:
    trajectory, policy = run()
    assert [call.sampling.n for call in policy.calls] == [4] + [1] * 8
    for number, step in enumerate(trajectory.steps, 1):
        assert len(step.candidates) == 4
        for candidate in step.candidates:
            assert len(set(candidate.parents)) == 2
            assert {parent.partition(".")[0] for parent in candidate.parents} == {str(number - 1)}


def test_subsets_are_those_of_the_seed() -> None:
    def parents(seed: int) -> list[tuple[str, ...]]:
        return [each.parents for step in run(seed)[0].steps for each in step.candidates]

    assert parents(7) == parents(7) != parents(8)


def test_a_subset_is_the_whole_population_where_k_is_larger() -> None:
    assert all(len(each.parents) == 4 for each in run(subset_size=9)[0].steps[0].candidates)


def test_one_member_is_refined_alone() -> None:
    _, policy = run(subset_size=1)
    assert "other attempts" not in str(policy.calls[1].messages[-1])


def test_a_loop_that_cannot_be_read_keeps_the_old_population() -> None:
    policy = ScriptedPolicy(SCRIPT | {("aggregate", 1): "no tags"})
    method = aggregate(sample_size=4, max_iterations=2, subset_size=2)
    trajectory = Optimizer(policy, ScriptedReward(), method).run("Hello?")
    assert not trajectory.steps[0].candidates
    assert all(parent.startswith("0.") for each in trajectory.steps[1].candidates for parent in each.parents)


@pytest.mark.parametrize(("method", "best_share"), [(aggregate(), 0.5), (aggregate_weighted(), 0.75)])
def test_weights_prefer_the_best_and_uniform_subsets_do_not(method: Aggregate, best_share: float) -> None:
    population = [Candidate(0, k, str(k), Score(float(k))) for k in range(8)]
    random, count = Random(1), Counter[int]()
    for _ in range(2000):
        subset = method._subset(random, population)
        assert len({each.index for each in subset}) == 4
        count.update(each.index for each in subset)
    assert sum(count.values()) == 8000
    if method.weighted:
        assert count[7] / 2000 > best_share > count[0] / 2000
    else:
        assert all(abs(each / 2000 - best_share) < 0.05 for each in count.values())
