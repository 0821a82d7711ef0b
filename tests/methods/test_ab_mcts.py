"""Adaptive branching tree search (arXiv 2503.04412), checked against the posterior of the authors' code."""

from random import Random
from statistics import fmean, pvariance

import pytest

from tpo.methods.ab_mcts import Tree, ab_mcts, posterior_sample
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Candidate, Score, plain_text


def node(index: int, points: float, parent: Candidate | None = None) -> Candidate:
    parents = () if parent is None else (parent.id,)
    return Candidate(0 if parent is None else 1, index, str(index), Score(points), parents=parents)


def chosen(pool: list[Candidate], count: int = 400) -> list[str | None]:
    tree, random = Tree(pool, lambda reward: reward), Random(3)
    return [tree.select(random) for _ in range(count)]


def test_the_posterior_is_the_authors() -> None:
    seen = [0.2, 0.4, 0.9, 0.7, 0.6, 0.8, 0.5, 0.3, 0.6, 0.9]
    random = Random(5)
    draws = [posterior_sample(random, seen) for _ in range(40_000)]
    kappa, nu, mean = 11.0, 11.0, fmean(seen)
    center = 10 * mean / kappa
    tau_square = (0.1 + 10 * pvariance(seen) + 10 * mean**2 / 11) / nu
    assert fmean(draws) == pytest.approx(center, abs=0.005)
    assert pvariance(draws) == pytest.approx(tau_square * nu / (nu - 2) / kappa, rel=0.05)


def test_a_reward_counts_for_every_response_above_it() -> None:
    root, other = node(0, 0.5), node(1, 0.4)
    child = node(2, 0.8, root)
    grandchild = Candidate(2, 0, "g", Score(0.9), parents=(child.id,))
    tree = Tree([root, other, child, grandchild], lambda reward: reward)
    assert (tree.below(root.id), tree.below(other.id)) == ([0.8, 0.9], [])


def test_it_goes_deeper_where_rewritings_are_better_and_wider_where_they_are_worse() -> None:
    firsts = [node(k, 0.5) for k in range(20)]
    better = [*firsts, *(node(20 + k, 0.95, firsts[0]) for k in range(20))]
    worse = [*firsts, *(node(20 + k, 0.05, firsts[0]) for k in range(20))]
    assert chosen(better).count(None) < 40
    assert chosen(worse).count(None) > 360


def test_it_returns_to_the_response_whose_rewritings_are_best() -> None:
    good, poor = node(0, 0.5), node(1, 0.5)
    pool = [good, poor, *(node(2 + k, 0.9, good) for k in range(15))]
    pool += [node(20 + k, 0.1, poor) for k in range(15)]
    under = [each for each in chosen(pool) if each is not None]
    below_good = {good.id, *(each.id for each in pool if each.parents == (good.id,))}
    assert sum(each in below_good for each in under) > 0.9 * len(under)


def test_a_step_makes_n_choices_within_its_cost_and_tells_the_critic_the_points() -> None:
    policy = ScriptedPolicy(
        {"sample": ["a", "bb", "ccc", "dddd"], "critique": "c", "update": improved("a better one")}
    )
    method = ab_mcts(sample_size=4, max_iterations=3)
    trajectory = Optimizer(policy, ScriptedReward(), method).run("Hello?")
    assert [len(step.candidates) for step in trajectory.steps] == [4, 4, 4]
    assert len(policy.calls) <= method.cost(4, 3).calls
    asked = [plain_text(call.messages[-1]) for call in policy.calls if call.scope.phase == "critique"]
    assert all("of 100 points" in text for text in asked)
    repeated = Optimizer(policy, ScriptedReward(), method).run("Hello?")
    assert repeated.steps == trajectory.steps
