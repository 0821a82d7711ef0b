"""Choice of ``tpo tune``: the best configuration within a budget, its alternatives and turning points."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tpo.config.option import flag_of
from tpo.experiments.sweep.arms import Arm, HeldOutScore
from tpo.experiments.sweep.costs import CostMeasure
from tpo.experiments.sweep.curves import cost_at
from tpo.experiments.sweep.equal_cost import deepest_arms
from tpo.experiments.tune.configurations import (
    Configuration,
    Need,
    TurningPoint,
    best_within,
    configurations,
    cross_validated,
    named_pools,
    turning_points,
    when_needed,
)
from tpo.experiments.tune.rules import replayed, sampled_until
from tpo.methods.need import WhenNeeded
from tpo.methods.stopping import SampleCost
from tpo.types import Trajectory

Runs = Mapping[str, Mapping[str, Trajectory]]
"""Recorded trajectories by the label of their arm and by query."""

MIN_FIT = 20
"""Least number of queries for the rule ``when_needed``."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The configuration to use, those it was chosen from, and the rule if one was fitted."""

    chosen: Configuration
    found: Sequence[Configuration]
    turning: Sequence[TurningPoint]
    need: Need | None
    held_out: bool
    """True if every response has its held-out score."""
    validated: Configuration
    """The result of choosing in the same way, on queries that the choice was not made on."""


def choose(
    arms: Sequence[Arm],
    measure: CostMeasure,
    runs: Runs,
    budget: float | None,
    held_out: HeldOutScore | None = None,
    without: Collection[str] = (),
) -> Choice:
    """Choose the configuration of *arms* with the highest score for *budget*, the cost of the mean query.

    Args:
        arms: arms with one reward and the same queries; scored by the held-out reward if all have it.
        measure: what the budget counts.
        runs: recorded trajectories by arm and query, for the stopping rules.
        budget: highest cost of the mean query; None: any.
        held_out: returns held-out scores of responses.
        without: names of stopping rules that are not compared.
    """
    checked = all(row.check_best_of and row.check for arm in arms for row in arm.results.values())
    found = configurations(arms, measure, held_out=checked)
    turning = turning_points(found)
    for arm in deepest_arms(arms):
        found += replayed(arm, measure, runs[arm.label], held_out=checked, without=without)
    if SampleCost.name not in without:
        for name, pool in named_pools(arms):
            found += sampled_until(pool, name, measure, runs[pool.label], held_out if checked else None)
    needs = {}
    if WhenNeeded.name not in without:
        needs = {each.configuration.label: each for each in _needs(arms, found, measure, runs, checked)}
    found += [each.configuration for each in needs.values()]
    found = list({each.label: each for each in found}.values())
    chosen = best_within(found, budget)
    validated = cross_validated(found, budget)
    return Choice(chosen, found, turning, needs.get(chosen.label), checked, validated)


def _needs(
    arms: Sequence[Arm],
    found: Sequence[Configuration],
    measure: CostMeasure,
    runs: Runs,
    held_out: bool,
) -> list[Need]:
    """Return the rule ``when_needed`` for each configuration with iterations."""
    needs = []
    for arm in deepest_arms(arms):
        if len(arm.results) < MIN_FIT:
            continue
        scores = {q: (row.check if held_out else row.best)[0] for q, row in arm.results.items()}
        costs = {q: cost_at(row, measure, 0) for q, row in arm.results.items()}
        stopped = Configuration(arm.method_name, arm.n, 0, costs, scores)
        firsts = {q: [each.reward for each in runs[arm.label][q].initial] for q in arm.results}
        shape = (arm.method_name, arm.n)
        own = [each for each in found if (each.method, each.n) == shape and each.depth and not each.rule]
        needs += [when_needed(each, stopped, firsts) for each in own]
    return needs


def frontier(found: Sequence[Configuration], chosen: Configuration) -> list[Configuration]:
    """Return *chosen* and the configurations that no cheaper one reaches, by cost."""
    kept: list[Configuration] = []
    for each in sorted(found, key=lambda each: (each.cost, -each.score)):
        if each is chosen or not kept or each.score > max(other.score for other in kept):
            kept.append(each)
    return kept


def best_by_kind(found: Sequence[Configuration], budget: float | None) -> list[tuple[str, Configuration]]:
    """Return the best configuration within *budget* of each method without a rule, and of each rule."""
    kinds: dict[str, tuple[str | None, str]] = {}
    kinds |= {f"method {each.method}": (each.method, "") for each in found if not each.rule}
    kinds |= {f"rule {flag_of(each.rule)}": (None, each.rule) for each in found if each.rule}
    best = []
    for kind, (method, rule) in kinds.items():
        own = [each for each in found if each.rule == rule and method in (None, each.method)]
        if any(budget is None or each.cost <= budget for each in own):
            best.append((kind, best_within(own, budget)))
    return best
