"""Measure stopping rules by replay of recorded runs, for docs/stopping.md; no model is called.

    python -m benchmarks.stopping [--pools RUN] [--steps RUN]

The runs are those of ``benchmarks.all_methods``, unless others are named: best-of-n with many samples, and
``tpo`` D2-N5, on the queries of ``training.held_out``.

*pools*: the regret of ``sample_cost`` against the best fixed number of samples. The value of a query is its
best reward, in standard deviations of its pool, minus the cost of each sample. Fixed numbers take the
expected best of n of the pool, exactly; the rule is replayed on all rotations of the pool's recorded order.

*steps*: what each rule would have answered and spent, since a query that is stopped early is the start of the
same query. Rules with a parameter are fitted to one half of the queries and judged on the other, by the
hidden score.

Writes ``tests/benchmarks/pools.json``, ``benchmarks/results/stopping_pools.json`` and
``stopping_steps.json``, ``docs/stopping/stopping.svg``, and both tables of ``docs/stopping.md``.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.record import put_table, write_result
from training.held_out import hidden_worth

from tpo.config import Settings, stopping_rules
from tpo.experiments.stopping_replay import Prefix, samples_drawn, stopped
from tpo.experiments.tables import format_number, markdown_table
from tpo.experiments.tune.rules import Fit, step_rules
from tpo.methods.need import NeedModel, WhenNeeded, fit_gain
from tpo.methods.stopping import SampleCost, StoppingRule
from tpo.report.figure_files import save_figures
from tpo.report.figures import Figure, Point, Series
from tpo.report.statistics import compare_paired, expected_best
from tpo.store import read_trajectories
from tpo.types import Trajectory

ROOT = Path(__file__).parents[1]
RUNS = Path("build/all-methods/runs")
PAGE = ROOT / "docs" / "stopping.md"
POOLS = ROOT / "tests" / "benchmarks" / "pools.json"
SAMPLES = 60
"""First samples of a pool."""
NEED_SHARES = (0.25, 0.5, 1.0)
"""Shares of the mean gain from which ``when_needed`` optimizes a query."""
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
    """Return rewards, hidden scores and tokens of *prefixes*, compared with the *full* queries."""
    rewards, checks = zip(*map(_answer, prefixes), strict=True)
    full_checks = [_answer(prefix)[1] for prefix in full]
    tokens, all_tokens = (sum(prefix.usage.tokens for prefix in of) for of in (prefixes, full))
    compared = compare_paired(checks, full_checks)
    return {
        "rule": name,
        "tokens_share": round(tokens / all_tokens, 4),
        "steps": round(fmean(len(prefix.steps) for prefix in prefixes), 3),
        "reward": round(fmean(rewards), 4),
        "check": round(fmean(checks), 4),
        "check_difference": round(compared.difference.value, 4),
        "interval": [compared.difference.low, compared.difference.high],
        "p": compared.p,
    }


def _answer(prefix: Prefix) -> tuple[float, float]:
    """Return the reward and the hidden score of the best response."""
    best = max(prefix.pool, key=lambda candidate: candidate.reward)
    return best.reward, hidden_worth(prefix.trajectory.query.messages, best.text)


def step_rows(trajectories: Sequence[Trajectory]) -> Iterator[dict[str, Any]]:
    """Yield a row for each rule."""
    full = [Prefix(t, len(t.steps) + 1) for t in trajectories]
    yield judged("none", full, full)
    yield judged("first samples only", [Prefix(t, 1) for t in trajectories], full)
    for name, fit in step_rules(max(len(t.steps) for t in trajectories)):
        prefixes = cross_fitted(trajectories, partial(fitted_rules, fit))
        yield judged(f"--{name.replace('_', '-')}, {_parameters(fit)}", prefixes, full)
    for share in NEED_SHARES:
        prefixes = cross_fitted(trajectories, partial(fitted_need, share=share))
        yield judged(f"--when-needed, {share:g} of the mean gain", prefixes, full)


def fitted_rules(fit: Fit, others: Sequence[Trajectory]) -> Sequence[StoppingRule]:
    """Return the rules that *fit* names for *others*."""
    return stopping_rules(Settings(**fit(others)))


def _parameters(fit: Any) -> str:
    """Return the values of a rule that :func:`step_rules` gives."""
    return ", ".join(f"{name} {value}" for name, value in fit.keywords.items())


def cross_fitted(
    trajectories: Sequence[Trajectory], fit: Callable[[Sequence[Trajectory]], Sequence[StoppingRule]]
) -> list[Prefix]:
    """Return the prefixes by rules that are fitted to the other half of the queries."""
    rules = [fit(trajectories[1 - half :: 2]) for half in (0, 1)]
    return [stopped(trajectory, rules[place % 2]) for place, trajectory in enumerate(trajectories)]


def fitted_need(others: Sequence[Trajectory], share: float) -> list[StoppingRule]:
    """Return the rule ``when_needed`` by the gains of the guiding reward."""
    firsts = [[c.reward for c in t.initial] for t in others]
    gains = [max(c.reward for c in t.pool) - max(first) for t, first in zip(others, firsts, strict=True)]
    coefficients, threshold = fit_gain(firsts, gains), share * fmean(gains)
    return [WhenNeeded(NeedModel("", "", *coefficients, threshold, len(others), "tpo", len(firsts[0])))]


def write_pools(run: Path) -> None:
    """Write the pools of *run*, their regrets, the figure and the table."""
    trajectories = finished(run)
    pools = [[round(c.reward, 3) for c in t.initial[:SAMPLES]] for t in trajectories]
    if any(len(pool) < SAMPLES for pool in pools):
        raise SystemExit(f"{run}: a query has fewer than {SAMPLES} scored first samples")
    ids = json.dumps([t.query.id for t in trajectories])
    rewards = ",\n".join(map(str, pools))
    POOLS.write_text(f'{{"queries": {ids},\n"rewards": [\n{rewards}\n]}}\n', "utf-8")
    rows = [regret(pools, cost) for cost in COSTS]
    write_result("stopping_pools", {"queries": len(pools), "rows": rows})
    files = save_figures([pools_figure(pools)], Path("build/figures"))
    shutil.copy(next(path for path in files if path.suffix == ".svg"), PAGE.with_suffix(""))
    put_table(PAGE, "## First samples", pools_table(rows))


def pools_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the regrets as a table in Markdown."""
    columns = {
        "samples": ("samples by the rule", 1),
        "value": ("value", 2),
        "best_fixed_n": ("best fixed number", 0),
        "best_fixed_value": ("its value", 2),
        "regret": ("regret", 3),
        "value_of_all": (f"value of all {SAMPLES}", 2),
    }
    head = ("cost of a sample", *(name for name, _ in columns.values()))
    return markdown_table(
        head,
        [
            (str(row["cost"]), *(format_number(row[key], digits) for key, (_, digits) in columns.items()))
            for row in rows
        ],
    )


def write_steps(run: Path) -> None:
    """Write what each rule does to *run*, and the table."""
    trajectories = finished(run)
    rows = list(step_rows(trajectories))
    write_result("stopping_steps", {"queries": len(trajectories), "rows": rows})
    put_table(PAGE, "## Steps", steps_table(rows))


def steps_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rules as a table in Markdown."""
    head = ("rule", "tokens", "steps", "guiding reward", "held-out score", "difference", "95% interval")
    return markdown_table(
        head,
        [
            (
                row["rule"],
                f"{row['tokens_share']:.0%}",
                format_number(row["steps"], 2),
                *(format_number(row[key], 3) for key in ("reward", "check", "check_difference")),
                " to ".join(format_number(end, 3) for end in row["interval"]),
            )
            for row in rows
        ],
    )


def finished(run: Path) -> list[Trajectory]:
    """Return the finished trajectories of *run*, by id."""
    found = (t for t in read_trajectories(run) if t.status == "finished")
    return sorted(found, key=lambda trajectory: trajectory.query.id)


def main() -> None:
    """Replay the runs and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pools", type=Path, default=RUNS / "bon-d0-n80-seed7-tiny")
    parser.add_argument("--steps", type=Path, default=RUNS / "tpo-d2-n5-seed7-tiny")
    given = parser.parse_args()
    write_pools(given.pools)
    write_steps(given.steps)


if __name__ == "__main__":
    main()
