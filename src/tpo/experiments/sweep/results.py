"""Results of a sweep: ``sweep.json`` with everything needed to repeat it, tables and figures.

Arms with the same reward are compared on the queries that all of them finished with every seed.
"""

from __future__ import annotations

import csv
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from tpo.config import policy_name
from tpo.config.settings import TINY
from tpo.errors import StoreError
from tpo.experiments.cells import Cell
from tpo.experiments.effects import effect_notes
from tpo.experiments.plan import PAGE, write_result_files
from tpo.experiments.sweep.arms import Arm, make_arms, without_held_out
from tpo.experiments.sweep.budgets import at_budgets
from tpo.experiments.sweep.comparison_tables import with_shown_adjusted
from tpo.experiments.sweep.costs import SECONDS
from tpo.experiments.sweep.curves import cost_at
from tpo.experiments.sweep.equal_cost import compare_at_equal_cost, shared_query_ids
from tpo.experiments.sweep.figures import sweep_figures
from tpo.experiments.sweep.held_out import HeldOutScores
from tpo.experiments.sweep.plan import FIGURES, SweepPlan
from tpo.experiments.sweep.tables import csv_rows, sweep_latex, sweep_page, sweep_report_tables
from tpo.experiments.tables import with_adjusted_p
from tpo.export.atomic_writer import replacing_text
from tpo.report import ReportOptions, bootstrap, write_report
from tpo.report.bootstrap import Estimate
from tpo.report.figure_files import save_figures
from tpo.report.figures import Figure
from tpo.report.shared_queries import shared_queries
from tpo.report.statistics import EXACT_UP_TO, FLIPS, bootstrap_means, compare_paired
from tpo.store.runfile import NAME as RUN_FILE
from tpo.store.runfile import read_run, versions

SCHEMA = 2
NAME = "sweep"
RESULTS = f"{NAME}.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Information that is not in the runs: reasons of failed cells by folder, and held-out scores."""

    failures: Mapping[str, str]
    held_out: HeldOutScores | None = None
    check_error: str | None = None


def write_results(plan: SweepPlan, outcome: Outcome) -> dict[str, Any]:
    """Write the results of all cells to the sweep's directory; return the content of ``sweep.json``.

    Raises:
        StoreError: no cell has run, or a file cannot be written.
    """
    readable = [cell for cell in plan.cells if (plan.path(cell) / "trajectories.jsonl").exists()]
    if not readable:
        reasons = list(outcome.failures.values())
        raise StoreError(f"{plan.out}: no cell has run{f': {reasons[0]}' if reasons else ''}")
    held_out = None if outcome.held_out is None else outcome.held_out.value
    found = make_arms(plan.cells, plan.queries, plan.trajectories, held_out)
    arms, apart = on_shared_queries(found)
    compared = [arm for arm in arms if arm not in apart]
    figures: list[Figure] = []
    if plan.figures:
        figures = sweep_figures(compared, plan.check_reward, len(plan.queries), plan.costs)
        figures = [_with_tiny_note(plan, each) for each in figures]
    files = save_figures(figures, plan.out / FIGURES) if figures else []
    record = _record(plan, outcome, arms, apart)
    record["figures"] = [
        {"name": figure.name, "title": figure.title, "caption": figure.caption} for figure in figures
    ]
    record["files"] = [str(path.relative_to(plan.out)) for path in files]
    record["page"] = PAGE if plan.page else None
    if plan.page:
        options = ReportOptions(results=sweep_report_tables(record), shown=figures, compare=False)
        write_report([plan.path(cell) for cell in readable], plan.out / PAGE, options)
    _write(plan, record)
    return record


def on_shared_queries(arms: Sequence[Arm]) -> tuple[list[Arm], list[Arm]]:
    """Return *arms*, the compared ones restricted to shared queries, and the arms that are not compared.

    Queries are shared by the arms with the same reward. Held-out scores count if all these arms have them.
    """
    kept = list(arms)
    apart: list[Arm] = []
    for reward in dict.fromkeys(arm.reward for arm in arms):
        indices = [index for index, arm in enumerate(arms) if arm.reward == reward]
        shared = shared_queries([arms[index].results.keys() for index in indices])
        compared = [index for n, index in enumerate(indices) if n not in shared.apart]
        with_check = [
            {
                q
                for q in shared.queries
                if arms[index].results[q].check_best_of and arms[index].results[q].check
            }
            for index in compared
        ]
        has_check = set.intersection(*with_check) if with_check else set()
        for index in compared:
            results = {
                query: result if query in has_check else without_held_out(result)
                for query, result in arms[index].results.items()
                if query in shared.queries
            }
            kept[index] = replace(arms[index], results=results)
        apart += [arms[index] for index in indices if index not in compared]
    return kept, apart


def _uses_tiny(plan: SweepPlan) -> bool:
    return plan.settings.uses_tiny or TINY in (*plan.rewards, plan.check_reward)


def _with_tiny_note(plan: SweepPlan, figure: Figure) -> Figure:
    """Return *figure* with the embedded pair in its title if it was used."""
    return replace(figure, title=f"{figure.title} (the embedded pair)") if _uses_tiny(plan) else figure


def _record(plan: SweepPlan, outcome: Outcome, arms: Sequence[Arm], apart: Sequence[Arm]) -> dict[str, Any]:
    compared = [arm for arm in arms if arm not in apart]
    missed = outcome.held_out.failures if outcome.held_out is not None else {}
    return {
        "schema": SCHEMA,
        "data": {
            "source": plan.source,
            "digest": plan.digest,
            "column": plan.settings.column,
            "limit": plan.settings.limit,
            "ids": [query.id for query in plan.queries],
        },
        "policy": policy_name(plan.settings),
        "tiny": _uses_tiny(plan),
        "rewards": list(plan.rewards),
        "seeds": list(plan.seeds),
        "held_out_reward": plan.check_reward,
        "held_out_missed": len(missed),
        "held_out_error": outcome.check_error,
        "shared_calls": plan.shares,
        "settings": plan.settings.to_json(),
        "cells": [_cell(plan, cell, outcome.failures) for cell in plan.cells],
        "arms": [_arm_record(plan, arm, apart=arm in apart) for arm in arms],
        "costs": [asdict(measure) for measure in plan.costs],
        "against": with_shown_adjusted(compare_arms(compared)),
        "at_equal_cost": with_shown_adjusted(
            [comparison.record() for comparison in compare_at_equal_cost(compared, plan.costs)]
        ),
        "at_budgets": with_adjusted_p(
            [each.record() for each in at_budgets(compared, plan.costs[0], plan.budgets)],
            ("paired", "held_out_paired"),
        ),
        "statistics": {
            "level": bootstrap.LEVEL,
            "bootstrap": bootstrap.RESAMPLES,
            "studentised_below": bootstrap.STUDENTISED_BELOW,
            "swaps": FLIPS,
            "exact_up_to": EXACT_UP_TO,
            "seed": bootstrap.SEED,
        },
        "effect": effect_notes(plan),
        "versions": versions(),
        "machine": f"{platform.system()} {platform.machine()}",
        "written": plan.clock(),
    }


def _cell(plan: SweepPlan, cell: Cell, failures: Mapping[str, str]) -> dict[str, Any]:
    """Return the record of one run: its directory, method, seed, reward and outcome."""
    path, error = plan.path(cell), failures.get(cell.folder)
    statuses = [trajectory.status for trajectory in plan.trajectories(cell)]
    finished, failed = statuses.count("finished"), statuses.count("failed")
    starts = len(read_run(path).invocations) if (path / RUN_FILE).exists() else 0
    return {
        "run": str(path.relative_to(plan.out)),
        "arm": cell.label,
        "recipe": cell.method.describe(),
        "reward": cell.reward,
        "seed": cell.seed,
        "finished": finished,
        "failed": failed,
        "starts": starts,
        "error": error,
    }


def _arm_record(plan: SweepPlan, arm: Arm, *, apart: bool) -> dict[str, Any]:
    """Return the record of *arm* with each cost measure; seconds where no call was shared."""
    record = arm_record(arm, apart=apart)
    spent = record["a_query"]
    if arm.results:
        for measure in (each for each in plan.costs if each != SECONDS):
            spent[measure.name] = fmean(cost_at(row, measure, arm.depth) for row in arm.results.values())
    return record | {"a_query": spent | {"seconds": None} if plan.shares else spent}


def arm_record(arm: Arm, *, apart: bool = False) -> dict[str, Any]:
    """Return the numbers of *arm* with their intervals; None where it has no complete query."""
    rows = list(arm.results.values())
    held_out = [row for row in rows if row.check and row.check_first is not None]
    costs = {
        "read": [row.read[-1] for row in rows],
        "written": [row.written[-1] for row in rows],
        "tokens": [row.read[-1] + row.written[-1] for row in rows],
        "calls": [row.calls[-1] for row in rows],
        "cached": [row.cached[-1] if row.cached else 0.0 for row in rows],
        "seconds": [row.seconds for row in rows],
    }
    return {
        "arm": arm.label,
        "method": arm.method_name,
        "iterations": arm.depth,
        "samples": arm.n,
        "reward": arm.reward,
        "seeds": list(arm.seeds),
        "queries": len(rows),
        "missing": arm.missing,
        "apart": apart,
        "first_sample": _mean([row.first for row in rows]),
        "best_first_sample": _mean([row.best[0] for row in rows]),
        "answer": _mean([row.answer for row in rows]),
        "gain": asdict(compare_paired([r.answer for r in rows], [r.first for r in rows])) if rows else None,
        "held_out_queries": len(held_out),
        "held_out_first_sample": _mean([row.check_first or 0.0 for row in held_out]),
        "held_out_answer": _mean([row.check[-1] for row in held_out]),
        "a_query": {name: fmean(values) if values else None for name, values in costs.items()},
    }


def compare_arms(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """Compare the answers of every two methods with the same reward, N and D; best-of-N matches every D."""
    found: list[dict[str, Any]] = []
    for place, first in enumerate(arms):
        for second in arms[place + 1 :]:
            alike = (first.reward, first.n) == (
                second.reward,
                second.n,
            ) and first.method_name != second.method_name
            queries = shared_query_ids(first, second)
            if alike and queries and (first.depth == second.depth or 0 in (first.depth, second.depth)):
                rows = [[arm.results[query] for query in queries] for arm in (first, second)]
                answers = [[row.answer for row in of] for of in rows]
                checks = [[row.check[-1] for row in of if row.check] for of in rows]
                checked = len(checks[0]) == len(checks[1]) == len(queries)
                both: dict[str, Any] = {"first": first.label, "second": second.label, "reward": first.reward}
                both["paired"] = asdict(compare_paired(*answers))
                both["held_out"] = asdict(compare_paired(*checks)) if checked else None
                found.append(both)
    return found


def _mean(values: Sequence[float]) -> dict[str, Any] | None:
    estimate: Estimate | None = bootstrap_means([[value] for value in values])[0] if values else None
    return None if estimate is None else asdict(estimate)


def _write(plan: SweepPlan, record: Mapping[str, Any]) -> None:
    """Write ``sweep.csv``, ``sweep.md``, ``sweep.tex`` and ``sweep.json``, each atomically."""
    with replacing_text(plan.out / f"{NAME}.csv") as file:
        csv.writer(file).writerows(csv_rows(record))
    write_result_files(plan.out, NAME, record, markdown=sweep_page(record), latex=sweep_latex(record))
