"""Stopping rules that ``tpo tune`` compares, by replay of the recorded queries: no call is made for them.

Rules on rewards and tokens only: the decision of a deadline depends on time. A value that is fitted to the
sample, such as a target reward, is cross-fitted: a query's decision comes from a rule that was fitted without
it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from statistics import fmean, median
from typing import Any

from tpo.config import Settings, stopping_rules
from tpo.experiments.stopping_replay import Prefix, samples_drawn, stopped
from tpo.experiments.sweep.arms import Arm, HeldOutScore
from tpo.experiments.sweep.costs import CostMeasure
from tpo.experiments.tune.configurations import FOLDS, Configuration, at_steps
from tpo.methods.stopping import SampleCost, TokenBudget
from tpo.types import Trajectory

TARGETS = {"first samples": (0.25, 0.5, 0.75, 0.9), "answers": (0.1, 0.25, 0.5)}
"""Quantiles that are tried as target rewards: of the best first samples, and of the answers."""
PLATEAUS = ((1, 0.1), (1, 0.5), (2, 0.1))
"""Steps and shares that are tried as plateaus."""
SAMPLE_COSTS = (0.01, 0.02, 0.05, 0.1, 0.2)

Options = Mapping[str, Any]
"""Values of settings by name."""
Fit = Callable[[Sequence[Trajectory]], Options]
"""Function that fits a rule to recorded queries; it returns the settings that name the rule."""


def step_rules(depth: int) -> Iterator[tuple[str, Fit]]:
    """Yield name and fit of each rule that is tried for a method with *depth* iterations."""
    for of, quantiles in TARGETS.items():
        for quantile in quantiles:
            yield "target_reward", partial(_target, quantile=quantile, of=of)
    for steps, least in PLATEAUS:
        if steps < depth:
            yield "plateau", partial(_plateau, steps=steps, share=least)
    for step in range(1, depth):
        yield "token_budget", partial(_budget, step=step)


def replayed(
    arm: Arm,
    measure: CostMeasure,
    runs: Mapping[str, Trajectory],
    *,
    held_out: bool,
    without: Collection[str] = (),
) -> Iterator[Configuration]:
    """Yield the configurations of *arm* with each stopping rule that ends some query early, but not all.

    Args:
        arm: the arm with the most iterations of its method and N.
        measure: what a query costs.
        runs: the recorded trajectories of its queries.
        held_out: score by the held-out reward.
        without: names of rules that are not tried.
    """
    queries = list(arm.results)
    recorded = [runs[query] for query in queries]
    for name, fit in step_rules(arm.depth):
        if name in without:
            continue
        taken: dict[str, int] = {}
        for fold in range(FOLDS):
            inside = [run for place, run in enumerate(recorded) if place % FOLDS != fold]
            rules = stopping_rules(Settings(**fit(inside or recorded)))
            taken |= {query: len(stopped(runs[query], rules).steps) for query in queries[fold::FOLDS]}
        for depth in range(1, arm.depth + 1):
            steps = {query: min(taken[query], depth) for query in queries}
            if 0 < sum(steps.values()) < depth * len(queries):
                yield at_steps(arm, measure, steps, held_out, rule=name, options=fit(recorded), depth=depth)


def sampled_until(
    pool: Arm, name: str, measure: CostMeasure, runs: Mapping[str, Trajectory], held_out: HeldOutScore | None
) -> Iterator[Configuration]:
    """Yield best-of-n of *pool* with each ``--sample-cost``, over all rotations of each pool.

    Every round reads the prompt again. *held_out* scores the answers; without it the guiding reward does.
    """
    for cost in SAMPLE_COSTS:
        rule = SampleCost(cost)
        if pool.n <= rule.round_size:
            return
        found = {query: _rotated(rule, pool, query, measure, runs[query], held_out) for query in pool.results}
        costs = {query: spent for query, (spent, _) in found.items()}
        scores = {query: score for query, (_, score) in found.items()}
        yield Configuration(name, pool.n, 0, costs, scores, rule.name, {"sample_cost": cost})


def _rotated(
    rule: SampleCost,
    pool: Arm,
    query: str,
    measure: CostMeasure,
    run: Trajectory,
    held_out: HeldOutScore | None,
) -> tuple[float, float]:
    """Return mean cost and mean score of a query's answer over the rotations of its first samples."""
    row = pool.results[query]
    samples = {each.index: each for each in run.initial}  # a blank sample has no candidate
    size = int(row.samples)
    read, cached = row.sample_read / row.sample_requests, row.sample_cached / row.sample_requests
    costs, scores = [], []
    for start in range(size):
        order = [samples.get(place) for place in (*range(start, size), *range(start))]
        drawn = samples_drawn(rule, [None if each is None else each.reward for each in order])
        rounds = max(-(-drawn // rule.round_size), round(row.sample_requests * drawn / size))
        written = row.sample_written * drawn / size
        costs.append(measure.of(read * rounds, written, drawn, cached * rounds))
        best = max(filter(None, order[:drawn]), key=lambda each: each.reward)
        scores.append(best.reward if held_out is None else held_out(run.query, best.text) or 0.0)
    return fmean(costs), fmean(scores)


def _target(runs: Sequence[Trajectory], quantile: float, of: str) -> Options:
    pools = (run.pool if of == "answers" else run.initial for run in runs)
    bests = sorted(max(each.reward for each in pool) for pool in pools)
    return {"target_reward": float(f"{bests[round(quantile * (len(bests) - 1))]:.4g}")}


def _plateau(_: Sequence[Trajectory], steps: int, share: float) -> Options:
    return {"plateau": steps, "plateau_share": share}


def _budget(runs: Sequence[Trajectory], step: int) -> Options:
    weigh = TokenBudget(1).weigh
    spent = median(weigh(Prefix(run, step + 1).usage) for run in runs)
    return {"token_budget": max(1, int(float(f"{spent:.3g}")))}
