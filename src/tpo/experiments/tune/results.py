"""Results of ``tpo tune``: the choice, its alternatives and turning points."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tpo.config import Settings, policy_identity, policy_name, reward_identity
from tpo.experiments.latex import latex_table
from tpo.experiments.plan import write_result_files
from tpo.experiments.sweep.arms import Arm
from tpo.experiments.sweep.costs import CostMeasure
from tpo.experiments.sweep.curves import cost_at
from tpo.experiments.sweep.equal_cost import deepest_arms
from tpo.experiments.sweep.plan import SweepPlan
from tpo.experiments.tables import (
    escape_markdown,
    format_difference,
    format_estimate,
    format_number,
    markdown_table,
)
from tpo.experiments.tune.configurations import (
    Configuration,
    Need,
    TurningPoint,
    best_within,
    configurations,
    turning_points,
    when_needed,
)
from tpo.methods.need import NeedModel, write_need
from tpo.report.overview import TINY_NOTE
from tpo.report.statistics import bootstrap_means, holm

NAME, NEED_FILE = "tune", "need.json"
SCHEMA = 1
MIN_FIT = 20
"""Least number of queries for the rule ``when_needed``."""

NOTES = (
    "intervals: 95%, bootstrap over queries; p: two-sided, adjusted for all tests of the table (Holm)",
    "the choice is made on the queries that its score is measured on, so that score is optimistic",
    "best-of-n: its expected value over one pool of first samples",
    "when-needed: decisions on queries that the rule was not fitted to (5 parts)",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The configuration to use, those it was chosen from, and the rule if one was fitted."""

    chosen: Configuration
    found: Sequence[Configuration]
    turning: Sequence[TurningPoint]
    need: Need | None
    held_out: bool
    """True if every response has its held-out score."""


def choose(
    arms: Sequence[Arm],
    measure: CostMeasure,
    firsts: Mapping[str, Mapping[str, Sequence[float]]],
    budget: float | None,
) -> Choice:
    """Choose the configuration of *arms* with the highest score for *budget*, the cost of the mean query.

    Args:
        arms: arms with one reward and the same queries; scored by the held-out reward if all have it.
        measure: what the budget counts.
        firsts: rewards of the first samples by arm and query.
        budget: highest cost of the mean query; None: any.
    """
    held_out = all(row.check_best_of and row.check for arm in arms for row in arm.results.values())
    found = configurations(arms, measure, held_out=held_out)
    turning = turning_points(found)
    needs = {each.configuration.label: each for each in _needs(arms, found, measure, firsts, held_out)}
    found += [each.configuration for each in needs.values()]
    chosen = best_within(found, budget)
    return Choice(chosen, found, turning, needs.get(chosen.label), held_out)


def _needs(
    arms: Sequence[Arm],
    found: Sequence[Configuration],
    measure: CostMeasure,
    firsts: Mapping[str, Mapping[str, Sequence[float]]],
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
        own = [each for each in found if (each.method, each.n) == (arm.method_name, arm.n) and each.depth]
        needs += [when_needed(each, stopped, firsts[arm.label]) for each in own]
    return needs


def _frontier(found: Sequence[Configuration], chosen: Configuration) -> list[Configuration]:
    """Return *chosen* and the configurations that no cheaper one reaches, by cost."""
    kept: list[Configuration] = []
    for each in sorted(found, key=lambda each: (each.cost, -each.score)):
        if each is chosen or not kept or each.score > max(other.score for other in kept):
            kept.append(each)
    return kept


def _command(source: str, settings: Settings, choice: Choice, folder: Path) -> list[str]:
    """Return the ``tpo run`` command of the choice."""
    chosen = choice.chosen
    words = ["tpo", "run", source]
    words += [word for name in settings.policy for word in ("--policy", name)]
    words += [word for name in settings.reward for word in ("--reward", name)]
    words += ["--method", chosen.method, "-n", str(chosen.n), "-d", str(chosen.depth)]
    return words + (["--when-needed", str(folder / NEED_FILE)] if choice.need is not None else [])


def write_tune(plan: SweepPlan, choice: Choice, budget: float | None) -> dict[str, Any]:
    """Write ``tune.json``, ``tune.md``, ``tune.tex`` and, with the rule, ``need.json``; return the record."""
    settings, measure = plan.settings, plan.costs[0]
    shown = _frontier(choice.found, choice.chosen)
    rows = [_row(each, choice.chosen) for each in shown]
    tests = [row["against_choice"] for row in rows if row["against_choice"]]
    for test, p in zip(tests, holm([test["p"] for test in tests]), strict=True):
        test["p_holm"] = p
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
        "frontier": rows,
        "configurations": len(choice.found),
        "turning_points": [
            {
                "of": each.of,
                "value": each.value,
                "reached": each.reached,
                "next": None if each.next is None else asdict(each.next),
            }
            for each in choice.turning
        ],
        "command": _command(plan.source, settings, choice, plan.out),
    }
    if choice.need is not None:
        write_need(plan.out / NEED_FILE, _need_model(settings, choice.need, choice.chosen))
    table = _frontier_table(record)
    write_result_files(
        plan.out, NAME, record, markdown=_tune_page(record), latex=latex_table(*table, "Configurations.")
    )
    return record


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
    return [escape_markdown(score), *NOTES, count]


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
            markdown_table(("turning point", "value", "the next larger one", "p"), turning),
        ]
    )


def _frontier_table(record: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    head = ("configuration", record["cost"]["label"], "score", "minus the choice", "p")
    digits = 0 if record["cost"]["name"] in ("tokens", "written") else 4
    rows: list[tuple[str, ...]] = []
    for row in record["frontier"]:
        mark = " (the choice)" if row["label"] == record["chosen"]["label"] else ""
        cells = (row["label"] + mark, format_number(row["cost"], digits), format_estimate(row["score"]))
        rows.append((*cells, *format_difference(row["against_choice"])))
    return head, rows


def _row(each: Configuration, chosen: Configuration) -> dict[str, Any]:
    estimate = bootstrap_means([[score] for score in each.scores.values()])[0]
    return {
        "label": each.label,
        "method": each.method,
        "samples": each.n,
        "iterations": each.depth,
        "when_needed": each.need,
        "cost": each.cost,
        "score": None if estimate is None else asdict(estimate),
        "against_choice": None if each.label == chosen.label else asdict(each.against(chosen)),
    }
