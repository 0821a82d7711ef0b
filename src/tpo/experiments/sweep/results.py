"""Results of a sweep: ``sweep.json``, with all that a repetition needs; tables and figures beside it.

Arms of one reward are compared on the queries that all of them finished under every seed.
"""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from tpo.config import policy_name
from tpo.config.settings import TINY
from tpo.errors import StoreError
from tpo.experiments.sweep.arms import Arm, make_arms
from tpo.experiments.sweep.charts import charts
from tpo.experiments.sweep.checking import HeldOut
from tpo.experiments.sweep.equal import common, compare_at_equal_tokens, price_of
from tpo.experiments.sweep.grid import Cell
from tpo.experiments.sweep.plan import FIGURES, Plan
from tpo.experiments.sweep.tables import answers_rows, latex, markdown, shown
from tpo.export.writing import replacing_text
from tpo.report import ReportOptions, bootstrap, write_report
from tpo.report.bootstrap import Estimate
from tpo.report.figure_files import save_figures
from tpo.report.figures import Figure
from tpo.report.shared_queries import shared_queries
from tpo.report.statistics import EXACT_UP_TO, FLIPS, bootstrap_means, compare_paired
from tpo.store import read_trajectories
from tpo.store.jsonline import plain
from tpo.store.runfile import versions
from tpo.types import Trajectory

SCHEMA = 1
RESULTS = "sweep.json"
PAGE = "report.html"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known beside the runs: why cells failed, by folder, and what the held-out reward said."""

    failures: Mapping[str, str]
    held_out: HeldOut | None = None
    check_error: str | None = None


def write_results(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    """Sum up what the cells hold, and write it all to the sweep's directory; the content of ``sweep.json``.

    Raises:
        StoreError: no cell has anything to sum up, or a file cannot be written.
    """
    readable = [cell for cell in plan.cells if (plan.path(cell) / "trajectories.jsonl").exists()]
    if not readable:
        reasons = list(outcome.failures.values())
        raise StoreError(f"{plan.out}: no cell has run{f': {reasons[0]}' if reasons else ''}")
    checked = None if outcome.held_out is None else outcome.held_out.value
    found = make_arms(plan.cells, plan.queries, lambda cell: _trajectories(plan, cell), checked)
    arms, apart = on_shared_queries(found)
    compared = [arm for arm in arms if arm not in apart]
    figures = []
    if plan.figures:
        figures = [_named(plan, each) for each in charts(compared, plan.check_reward, len(plan.queries))]
    drawn = save_figures(figures, plan.out / FIGURES) if figures else []
    record = _record(plan, outcome, arms, apart)
    record["figures"] = [
        {"name": figure.name, "title": figure.title, "caption": figure.caption} for figure in figures
    ]
    record["files"] = [str(path.relative_to(plan.out)) for path in drawn]
    record["page"] = PAGE if plan.page else None
    if plan.page:
        write_report(
            [plan.path(cell) for cell in readable], plan.out / PAGE, ReportOptions(results=shown(record))
        )
    _write(plan, record)
    return record


def on_shared_queries(arms: Sequence[Arm]) -> tuple[list[Arm], list[Arm]]:
    """Return *arms*, those that are compared on shared queries alone, and which of them stand apart.

    Queries are shared by the arms of a reward. Held-out scores count where all of these arms have them.
    """
    kept = list(arms)
    apart: list[Arm] = []
    for reward in dict.fromkeys(arm.reward for arm in arms):
        places = [place for place, arm in enumerate(arms) if arm.reward == reward]
        shared = shared_queries([arms[place].rows.keys() for place in places])
        together = [place for n, place in enumerate(places) if n not in shared.apart]
        checked = [{q for q in shared.queries if arms[place].rows[q].check} for place in together]
        has_check = set.intersection(*checked) if checked else set()
        for place in together:
            rows = {
                query: row if query in has_check else replace(row, check=(), check_first=None)
                for query, row in arms[place].rows.items()
                if query in shared.queries
            }
            kept[place] = replace(arms[place], rows=rows)
        apart += [arms[place] for place in places if place not in together]
    return kept, apart


def _trajectories(plan: Plan, cell: Cell) -> Iterator[Trajectory]:
    """Yield what the run of *cell* holds: nothing, where it has not begun, so that no query of it counts."""
    if (plan.path(cell) / "trajectories.jsonl").exists():
        yield from read_trajectories(plan.path(cell))


def _uses_tiny(plan: Plan) -> bool:
    return plan.settings.uses_tiny or TINY in (*plan.rewards, plan.check_reward)


def _named(plan: Plan, figure: Figure) -> Figure:
    """*figure*, with the embedded pair named in it where that made its numbers."""
    return replace(figure, title=f"{figure.title} (the embedded pair)") if _uses_tiny(plan) else figure


def _record(plan: Plan, outcome: Outcome, arms: Sequence[Arm], apart: Sequence[Arm]) -> dict[str, Any]:
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
        "arms": [arm_record(arm, apart=arm in apart) for arm in arms],
        "against": against(compared),
        "at_equal_tokens": [comparison.record() for comparison in compare_at_equal_tokens(compared)],
        "statistics": {
            "level": bootstrap.LEVEL,
            "bootstrap": bootstrap.RESAMPLES,
            "studentised_below": bootstrap.STUDENTISED_BELOW,
            "swaps": FLIPS,
            "exact_up_to": EXACT_UP_TO,
            "seed": bootstrap.SEED,
        },
        "versions": versions(),
        "machine": f"{platform.system()} {platform.machine()}",
        "written": plan.clock(),
    }


def _cell(plan: Plan, cell: Cell, failures: Mapping[str, str]) -> dict[str, Any]:
    """One run: where it is, what made it, and how it went."""
    path, error = plan.path(cell), failures.get(cell.folder)
    finished = failed = 0
    if (path / "trajectories.jsonl").exists():
        statuses = [trajectory.status for trajectory in read_trajectories(path)]
        finished, failed = statuses.count("finished"), statuses.count("failed")
    return {
        "run": str(path.relative_to(plan.out)),
        "arm": cell.label,
        "recipe": cell.recipe.describe(),
        "reward": cell.reward,
        "seed": cell.seed,
        "finished": finished,
        "failed": failed,
        "error": error,
    }


def arm_record(arm: Arm, *, apart: bool = False) -> dict[str, Any]:
    """Return the numbers of *arm* with their intervals; none where it has no whole query."""
    rows = list(arm.rows.values())
    checked = [row for row in rows if row.check and row.check_first is not None]
    costs = {
        "read": [row.read[-1] for row in rows],
        "written": [row.written[-1] for row in rows],
        "tokens": [price_of(row, "all", arm.depth) for row in rows],
        "calls": [row.calls[-1] for row in rows],
    }
    return {
        "arm": arm.label,
        "method": arm.method,
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
        "held_out_queries": len(checked),
        "held_out_first_sample": _mean([row.check_first or 0.0 for row in checked]),
        "held_out_answer": _mean([row.check[-1] for row in checked]),
        "a_query": {name: fmean(values) if values else None for name, values in costs.items()},
    }


def against(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """Every two methods of the same reward, N and D by their answers; best-of-N stands beside every D."""
    found = []
    for place, first in enumerate(arms):
        for second in arms[place + 1 :]:
            alike = (first.reward, first.n) == (second.reward, second.n) and first.method != second.method
            queries = common(first, second)
            if alike and queries and (first.depth == second.depth or 0 in (first.depth, second.depth)):
                values = [[arm.rows[query].answer for query in queries] for arm in (first, second)]
                both = {"first": first.label, "second": second.label, "reward": first.reward}
                found.append(both | {"paired": asdict(compare_paired(*values))})
    return found


def _mean(values: Sequence[float]) -> dict[str, Any] | None:
    estimate: Estimate | None = bootstrap_means([[value] for value in values])[0] if values else None
    return None if estimate is None else asdict(estimate)


def _write(plan: Plan, record: Mapping[str, Any]) -> None:
    """``sweep.json``, ``sweep.md``, ``sweep.tex`` and ``sweep.csv``, each whole or not at all."""
    with replacing_text(plan.out / "sweep.md") as file:
        file.write(markdown(record))
    with replacing_text(plan.out / "sweep.tex") as file:
        file.write(latex(record))
    with replacing_text(plan.out / "sweep.csv") as file:
        csv.writer(file).writerows(answers_rows(record))
    with replacing_text(plan.out / RESULTS) as file:
        file.write(json.dumps(plain(record), ensure_ascii=False, indent=2, allow_nan=False) + "\n")
