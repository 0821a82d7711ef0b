"""Measure stopping rules by replay of recorded runs; no model is called.

    python -m benchmarks.stopping pools RUN    # a run of bon with many samples
    python -m benchmarks.stopping steps RUN    # a run with a check reward, such as D2-N5

*pools*: the regret of ``sample_cost`` against the best fixed number of samples. The value of a query is its
best reward, in standard deviations of its pool, minus the cost of each sample. Fixed numbers take the
expected best of n of the pool, exactly; the rule is replayed on all rotations of the pool's recorded order.

*steps*: what each rule would have answered and spent, since a query that is stopped early is the start of the
same query. ``target_reward`` and ``when_needed`` are fitted to one half of the queries and
judged on the other.

The results go to ``benchmarks/results/stopping_pools.json`` and ``stopping_steps.json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.record import write_result

from tpo.experiments.stopping_replay import Prefix, samples_drawn, stopped
from tpo.methods.need import NeedModel, WhenNeeded, fit_gain
from tpo.methods.stopping import Plateau, SampleCost, StoppingRule, TargetReward, TokenBudget
from tpo.report.figure_files import save_figures
from tpo.report.figures import Figure, Point, Series
from tpo.report.statistics import compare_paired, expected_best
from tpo.store import read_run, read_trajectories
from tpo.types import Candidate, Trajectory

COSTS = (0.01, 0.02, 0.05, 0.1, 0.2)


def regret(pools: Sequence[Sequence[float]], cost: float, round_size: int = 4) -> dict[str, Any]:
    """Return the values of the rule, of the best fixed number of samples, and of fixed numbers as large."""
    rule = SampleCost(cost, round_size)
    scales = [stdev(pool) for pool in pools]
    curves = [[best / s for best in curve] for curve, s in zip(expected_best(pools), scales, strict=True)]
    fixed = [fmean(curve[n - 1] for curve in curves) - cost * n for n in range(1, len(pools[0]) + 1)]
    best_n = max(range(len(fixed)), key=fixed.__getitem__) + 1
    drawn, values = [], []
    for pool, scale in zip(pools, scales, strict=True):
        for start in range(len(pool)):
            count = samples_drawn(rule, [*pool[start:], *pool[:start]])
            best = max((*pool[start:], *pool[:start])[:count])
            drawn.append(count)
            values.append(best / scale - cost * count)
    return {
        "cost": cost,
        "samples": round(fmean(drawn), 4),
        "best": round(fmean(values) + cost * fmean(drawn), 4),
        "value": round(fmean(values), 4),
        "best_fixed_n": best_n,
        "best_fixed_value": round(fixed[best_n - 1], 4),
        "regret": round(fixed[best_n - 1] - fmean(values), 4),
        "value_of_all": round(fixed[-1], 4),
    }


def pools_figure(pools: Sequence[Sequence[float]]) -> Figure:
    """Return the best reward against the number of samples: fixed numbers, and the rule at each cost."""
    scales = [stdev(pool) for pool in pools]
    curves = [[best / s for best in curve] for curve, s in zip(expected_best(pools), scales, strict=True)]
    fixed = [Point(n, fmean(curve[n - 1] for curve in curves)) for n in range(1, len(pools[0]) + 1)]
    rows = [regret(pools, cost) for cost in COSTS]
    rule = sorted((Point(row["samples"], row["best"]) for row in rows), key=lambda point: point.x)
    return Figure(
        name="stopping",
        title="First samples (the embedded pair)",
        caption="Mean best reward, in standard deviations of each query's pool.",
        x="samples per query",
        y="best reward / deviation",
        kind="line",
        series=(
            Series("fixed number, any n", 0, tuple(fixed), dashed=True),
            Series(f"sample_cost, {', '.join(map(str, reversed(COSTS)))}", 1, tuple(rule)),
        ),
        whole_x=True,
    )


def judged(name: str, prefixes: Sequence[Prefix], full: Sequence[Prefix]) -> dict[str, Any]:
    """Return rewards, check scores and tokens of *prefixes*, compared with the *full* queries."""
    best = [max(prefix.pool, key=lambda c: c.reward) for prefix in prefixes]
    full_best = [max(prefix.pool, key=lambda c: c.reward) for prefix in full]
    tokens, all_tokens = sum(map(_tokens, prefixes)), sum(map(_tokens, full))
    compared = compare_paired(list(map(_check, best)), list(map(_check, full_best)))
    return {
        "rule": name,
        "tokens_share": round(tokens / all_tokens, 4),
        "steps": round(fmean(len(prefix.steps) for prefix in prefixes), 3),
        "reward": round(fmean(c.reward for c in best), 4),
        "check": round(fmean(map(_check, best)), 4),
        "check_difference": round(compared.difference.value, 4),
        "interval": [compared.difference.low, compared.difference.high],
        "p": compared.p,
    }


def _tokens(prefix: Prefix) -> int:
    return prefix.usage.tokens


def _check(candidate: Candidate) -> float:
    if candidate.score is None or candidate.score.check is None:
        raise SystemExit("the run has no check scores: make it with --check-reward")
    return candidate.score.check


def step_rows(trajectories: Sequence[Trajectory]) -> Iterator[dict[str, Any]]:
    """Yield a row for each rule."""
    full = [Prefix(t, len(t.steps) + 1) for t in trajectories]
    yield judged("none", full, full)
    rules: list[tuple[str, StoppingRule]] = [
        ("first samples only", TargetReward(float("-inf"))),
        *((f"plateau 1, share {share}", Plateau(1, share)) for share in (0.1, 0.5)),
        ("token_budget 800", TokenBudget(800)),
    ]
    for name, rule in rules:
        yield judged(name, [stopped(t, [rule]) for t in trajectories], full)
    for share in (0.25, 0.5, 0.75):
        prefixes = cross_fitted(trajectories, partial(quantile_target, share=share))
        yield judged(f"target_reward, quantile {share} of the best first samples", prefixes, full)
    for threshold in (0.02, 0.05, 0.1):
        prefixes = cross_fitted(trajectories, partial(fitted_need, threshold=threshold))
        yield judged(f"when_needed, expected gain {threshold}", prefixes, full)


def cross_fitted(
    trajectories: Sequence[Trajectory], fit: Callable[[Sequence[Trajectory]], StoppingRule]
) -> list[Prefix]:
    """Return the prefixes by rules that are fitted to the other half of the queries."""
    rules = [fit(trajectories[1 - half :: 2]) for half in (0, 1)]
    return [stopped(trajectory, [rules[place % 2]]) for place, trajectory in enumerate(trajectories)]


def quantile_target(others: Sequence[Trajectory], share: float) -> StoppingRule:
    """Return a target at the quantile *share* of the best first samples."""
    bests = sorted(max(c.reward for c in t.initial) for t in others)
    return TargetReward(bests[int(share * (len(bests) - 1))])


def fitted_need(others: Sequence[Trajectory], threshold: float) -> StoppingRule:
    """Return the rule ``when_needed`` by the gains of the guiding reward."""
    firsts = [[c.reward for c in t.initial] for t in others]
    gains = [max(c.reward for c in t.pool) - max(first) for t, first in zip(others, firsts, strict=True)]
    coefficients = fit_gain(firsts, gains)
    return WhenNeeded(NeedModel("", "", *coefficients, threshold, len(others), "tpo", len(firsts[0])))


def main() -> None:
    """Replay the run and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("pools", "steps"))
    parser.add_argument("run", type=Path)
    parser.add_argument("--figures", type=Path, default=Path("build/figures"), help="Folder of the figure.")
    given = parser.parse_args()
    trajectories = sorted(
        (t for t in read_trajectories(given.run) if t.status == "finished"), key=lambda t: t.query.id
    )
    if given.what == "pools":
        pools = [[c.reward for c in t.initial] for t in trajectories]
        size = min(map(len, pools))
        pools = [pool[:size] for pool in pools]
        rows = [regret(pools, cost) for cost in COSTS]
        save_figures([pools_figure(pools)], given.figures)
    else:
        rows = list(step_rows(trajectories))
    marks = read_run(given.run).fingerprint
    about = {key: marks.get(key) for key in ("policy", "reward", "check_reward", "method.name")}
    write_result(f"stopping_{given.what}", {"queries": len(trajectories), **about, "rows": rows})


if __name__ == "__main__":
    main()
