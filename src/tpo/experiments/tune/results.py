"""Results of ``tpo tune``: the choice, its alternatives and turning points."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tpo.config import Settings, policy_identity, policy_name, reward_identity
from tpo.config.command_line import settings_words
from tpo.experiments.latex import latex_table
from tpo.experiments.plan import write_result_files
from tpo.experiments.sweep.plan import SweepPlan
from tpo.experiments.tables import (
    escape_markdown,
    format_difference,
    format_estimate,
    format_number,
    markdown_table,
    with_adjusted_p,
)
from tpo.experiments.tune.choice import Choice, best_by_kind, frontier
from tpo.experiments.tune.configurations import Configuration, Need
from tpo.methods.need import NeedModel, write_need
from tpo.report.overview import TINY_NOTE
from tpo.report.statistics import bootstrap_means

NAME, NEED_FILE = "tune", "need.json"
SCHEMA = 1
NOTES = (
    "intervals: 95%, bootstrap over queries; p: two-sided, adjusted for all tests of the table (Holm)",
    "the choice is made on the queries that its score is measured on, so that score is optimistic",
    "best-of-n: expected value over one pool; with --sample-cost, the mean over all rotations of it",
    "stopping rules are replayed on the recorded queries",
    "values of rules are fitted to four fifths of the queries, and decide on the other",
)


def _command(source: str, settings: Settings, choice: Choice, folder: Path) -> list[str]:
    """Return the ``tpo run`` command of the choice, with every setting that is not the default.

    The run directory is left to ``tpo run``.
    """
    chosen, options = choice.chosen, dict(choice.chosen.options)
    if choice.need is not None:
        options["when_needed"] = folder / NEED_FILE
    used = replace(
        settings, method=chosen.method, sample_size=chosen.n, max_iterations=chosen.depth, **options
    )
    return ["tpo", "run", source, *settings_words(used, os.environ, without=("out", "quiet"))]


def write_tune(plan: SweepPlan, choice: Choice, budget: float | None) -> dict[str, Any]:
    """Write ``tune.json``, ``tune.md``, ``tune.tex`` and, with the rule, ``need.json``; return the record."""
    settings, measure = plan.settings, plan.costs[0]
    shown = frontier(choice.found, choice.chosen)
    rows = with_adjusted_p([_row(each, choice.chosen) for each in shown], ("against_choice",))
    kinds = [{"kind": kind, **_row(each, choice.chosen)} for kind, each in best_by_kind(choice.found, budget)]
    validated = _row(choice.validated, choice.validated)
    record = {
        "schema": SCHEMA,
        "data": {"source": plan.source, "digest": plan.digest, "ids": [query.id for query in plan.queries]},
        "policy": policy_name(settings),
        "rewards": list(plan.rewards),
        "held_out_reward": plan.check_reward,
        "judged_by": plan.check_reward if choice.held_out else plan.rewards[0],
        "tiny": settings.uses_tiny,
        "cost": asdict(measure),
        "budget": budget,
        "chosen": _row(choice.chosen, choice.chosen),
        "validated": {"cost": validated["cost"], "score": validated["score"]},
        "frontier": rows,
        "by_kind": with_adjusted_p(kinds, ("against_choice",)),
        "all": [{"label": each.label, "cost": each.cost, "score": each.score} for each in choice.found],
        "configurations": len(choice.found),
        "turning_points": _turning_rows(choice),
        "command": _command(plan.source, settings, choice, plan.out),
    }
    if choice.need is not None:
        write_need(plan.out / NEED_FILE, _need_model(settings, choice.need, choice.chosen))
    table = _frontier_table(record)
    write_result_files(
        plan.out, NAME, record, markdown=_tune_page(record), latex=latex_table(*table, "Configurations.")
    )
    return record


def _turning_rows(choice: Choice) -> list[dict[str, Any]]:
    """Return the turning points, with the p of their next larger values adjusted for all of them."""
    rows = [
        {
            "of": each.of,
            "value": each.value,
            "reached": each.reached,
            "next": None if each.next is None else asdict(each.next),
        }
        for each in choice.turning
    ]
    return with_adjusted_p(rows, ("next",))


def _need_model(settings: Settings, need: Need, chosen: Configuration) -> NeedModel:
    """Return the content of the file that ``--when-needed`` reads."""
    policy, reward = json.loads(json.dumps([policy_identity(settings), reward_identity(settings)]))
    return NeedModel(
        policy,
        reward,
        need.intercept,
        need.best,
        need.spread,
        need.threshold,
        queries=len(chosen.scores),
        method=f"{chosen.method} D{chosen.depth}-N{chosen.n}",
        sample_size=chosen.n,
    )


def _tune_page(record: Mapping[str, Any]) -> str:
    """Return the page ``tune.md``."""
    parts = [f"# Tuning of {record['policy']} on {record['data']['source']}"]
    if record["tiny"]:
        parts.append(f"**{TINY_NOTE}**")
    parts += [f"```bash\n{shlex.join(record['command'])}\n```", tune_tables(record)]
    notes = tune_notes(record)
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in notes)]) + "\n"


def tune_notes(record: Mapping[str, Any]) -> list[str]:
    """Return the notes that explain the numbers."""
    judge, held_out = record["judged_by"], record["held_out_reward"]
    if judge == held_out:
        score = f"score: {judge}, which guides nothing"
    elif held_out is None:
        score = f"score: {judge}, the guiding reward itself, which best-of-n exploits: name a --check-reward"
    else:
        score = f"score: {judge}, the guiding reward itself: {held_out} did not score every response"
    count = f"{record['configurations']:,} configurations of {len(record['data']['ids']):,} queries"
    validated = record["validated"]
    cost = format_number(validated["cost"], _digits(record))
    honest = (
        f"chosen on four fifths of the queries and measured on the other: {cost} {record['cost']['unit']}"
    )
    honest += f", score {format_estimate(validated['score'])}"
    return [escape_markdown(score), honest, *NOTES, count]


def tune_tables(record: Mapping[str, Any]) -> str:
    """Return the tables of the frontier and of the turning points in Markdown."""
    turning = [
        (
            each["of"],
            str(each["value"]) + ("" if each["reached"] else ", the largest measured"),
            *format_difference(each["next"]),
        )
        for each in record["turning_points"]
    ]
    return "\n\n".join(
        [
            markdown_table(*_frontier_table(record)),
            markdown_table(
                ("best of", *_head(record)),
                [(row["kind"], *_cells(record, row)) for row in record["by_kind"]],
            ),
            markdown_table(("turning point", "value", "the next larger one", "p"), turning),
        ]
    )


def _frontier_table(record: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    return _head(record), [_cells(record, row) for row in record["frontier"]]


def _head(record: Mapping[str, Any]) -> tuple[str, ...]:
    return ("configuration", record["cost"]["label"], "score", "minus the choice", "p")


def _cells(record: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[str, ...]:
    mark = " (the choice)" if row["label"] == record["chosen"]["label"] else ""
    cost = format_number(row["cost"], _digits(record))
    cells = (row["label"] + mark, cost, format_estimate(row["score"]))
    return (*cells, *format_difference(row["against_choice"]))


def _digits(record: Mapping[str, Any]) -> int:
    return 0 if record["cost"]["name"] in ("tokens", "written") else 4


def _row(each: Configuration, chosen: Configuration) -> dict[str, Any]:
    estimate = bootstrap_means([[score] for score in each.scores.values()])[0]
    return {
        "label": each.label,
        "method": each.method,
        "samples": each.n,
        "iterations": each.depth,
        "rule": each.rule or None,
        "options": dict(each.options),
        "cost": each.cost,
        "score": None if estimate is None else asdict(estimate),
        "against_choice": None if each.label == chosen.label else asdict(each.against(chosen)),
    }
