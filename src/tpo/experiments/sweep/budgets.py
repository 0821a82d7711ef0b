"""All methods at the same fixed budgets: reward and held-out score, each against best-of-n.

A method is followed along its iterations with a fixed N, or, if it has one iteration only, along N. The mean
query spends the budget; between two places the curve is interpolated linearly, and it is not extrapolated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from tpo.experiments.sweep.arms import Arm, largest_pools
from tpo.experiments.sweep.costs import CostMeasure
from tpo.experiments.sweep.curves import CurvePoint, RewardCurve, arms_curve, method_curve, sample_curve
from tpo.experiments.sweep.equal_cost import best_of_n_name, deepest_arms
from tpo.report.bootstrap import Estimate
from tpo.report.statistics import PairedComparison, bootstrap_means, compare_paired


class _MethodCurve(NamedTuple):
    """A method's curve: *name* with what is fixed, *axis* what changes along it, and one of its arms."""

    name: str
    axis: str
    arm: Arm
    curve: RewardCurve


@dataclass(frozen=True, slots=True)
class AtBudget:
    """A method at a budget.

    Attributes:
        method: the method with what is fixed along its curve.
        reward: the guiding reward.
        cost: name of the cost measure.
        budget: cost of the mean query.
        axis: what changes along the curve: ``n`` or ``step``.
        place: the place on the curve that costs the budget.
        covered: the curve reaches the budget; without it there are no numbers.
        answer: mean reward.
        held_out: mean held-out score.
        paired: reward minus that of best-of-n at the same budget.
        held_out_paired: the same of the held-out score.
    """

    method: str
    reward: str
    cost: str
    budget: float
    axis: str
    place: float
    covered: bool
    answer: Estimate | None = None
    held_out: Estimate | None = None
    paired: PairedComparison | None = None
    held_out_paired: PairedComparison | None = None

    def record(self) -> dict[str, Any]:
        """Return the values as JSON values."""
        return asdict(self)


def at_budgets(arms: Sequence[Arm], measure: CostMeasure, budgets: Sequence[float]) -> list[AtBudget]:
    """Return every method of *arms* at each of *budgets*, best-of-n first."""
    found: list[AtBudget] = []
    for reward in dict.fromkeys(arm.reward for arm in arms):
        own = [arm for arm in arms if arm.reward == reward and arm.results]
        pools = [_pool_curve(pool, own, measure) for pool in largest_pools(own)]
        for budget in budgets:
            points = {pool.arm.sampling_key: pool.curve.at(budget) for pool in pools}
            found += [_at(pool, measure, budget, None) for pool in pools]
            found += [
                _at(each, measure, budget, points.get(each.arm.sampling_key))
                for each in _method_curves(own, measure)
            ]
    return found


def _method_curves(arms: Sequence[Arm], measure: CostMeasure) -> list[_MethodCurve]:
    """Return the curves of all methods with iterations in *arms*, which have the same reward."""
    found = []
    for method in dict.fromkeys(arm.method_name for arm in arms if arm.depth):
        own = [arm for arm in arms if arm.method_name == method and arm.depth]
        if max(arm.depth for arm in own) == 1 and len(own) > 1:
            curve = arms_curve([(float(arm.n), arm) for arm in own], _queries(arms), measure)
            found.append(_MethodCurve(f"{method} D1", "n", own[0], curve))
        else:
            found += [
                _MethodCurve(
                    f"{method} N{arm.n}", "step", arm, method_curve(arm, arms, _queries(arms), measure)
                )
                for arm in deepest_arms(own)
            ]
    return found


def _queries(arms: Sequence[Arm]) -> list[str]:
    return [query for query in arms[0].results if all(query in arm.results for arm in arms)]


def _pool_curve(pool: Arm, arms: Sequence[Arm], measure: CostMeasure) -> _MethodCurve:
    name = best_of_n_name(pool, largest_pools(arms))
    return _MethodCurve(name, "n", pool, sample_curve(pool, arms, _queries(arms), measure))


def _at(of: _MethodCurve, measure: CostMeasure, budget: float, pool: CurvePoint | None) -> AtBudget:
    point = of.curve.at(budget)
    covered = point.covered and bool(point.reached)
    place = AtBudget(of.name, of.arm.reward, measure.name, budget, of.axis, point.place, covered)
    if not covered:
        return place
    found = replace(place, answer=_mean(point.reached), held_out=_mean(point.checked))
    if pool is None or not pool.covered:
        return found
    return replace(
        found,
        paired=_paired(point.reached, pool.reached),
        held_out_paired=_paired(point.checked, pool.checked),
    )


def _mean(values: Mapping[str, float]) -> Estimate | None:
    return bootstrap_means([[value] for value in values.values()])[0] if values else None


def _paired(first: Mapping[str, float], second: Mapping[str, float]) -> PairedComparison | None:
    queries = [query for query in first if query in second]
    return compare_paired([first[q] for q in queries], [second[q] for q in queries]) if queries else None
