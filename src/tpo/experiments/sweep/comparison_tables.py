"""Tables of a sweep's comparisons: at equal cost, at fixed budgets, and of methods with the same shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from tpo.experiments.tables import (
    COMPARISON_HEAD,
    comparison_cells,
    format_difference,
    format_estimate,
    format_number,
    with_adjusted_p,
)
from tpo.plurals import queries

MAX_ROWS = 60
"""Comparisons of a table that shows all of them."""


Record = Mapping[str, Any]
R = TypeVar("R", bound=Record)
Rows = tuple[tuple[str, ...], list[tuple[str, ...]]]


def shown(rows: Sequence[R]) -> list[R]:
    """Return the rows to show: of many, those against best-of-n for the mean query."""
    if len(rows) <= MAX_ROWS:
        return list(rows)
    return [
        row
        for row in rows
        if str(row["second"]).startswith(("best-of-n", "bon ", "paper-bon ")) and row.get("kind") != "cap"
    ]


def with_shown_adjusted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return *rows* with ``p_holm`` in those that the table shows: adjusted for the tests that it shows."""
    with_adjusted_p(shown(rows))
    return rows


def equal_cost_rows(record: Record) -> Rows:
    """Return head and rows of the comparisons at equal cost."""
    several, checks = len(record["rewards"]) > 1, record["held_out_reward"] is not None
    head = ["method", *(["reward"] if several else []), "minus", "cost", "budget", "spent", "at"]
    rows = []
    for row in shown(record["at_equal_cost"]):
        spent = format_cost(row["budget"])
        if not row["covered"] or row["kind"] != "mean":
            spent = f"{spent}, second {format_cost(row['spent'])}"
        cells = [row["first"], *([row["reward"]] if several else []), row["second"]]
        cells += [_cost_name(record, row["cost"]), row["kind"], spent, _place(row)]
        cells += format_difference(row["paired"])
        rows.append((*cells, *(format_difference(row["held_out"]) if checks else ())))
    return (*head, "difference", "p", *(["held-out difference", "p"] if checks else [])), rows


def budget_rows(record: Record) -> Rows:
    """Return head and rows of the methods at fixed budgets."""
    several, checks = len(record["rewards"]) > 1, record["held_out_reward"] is not None
    label = record["costs"][0]["label"]
    head = [label, *(["reward"] if several else []), "method", "at", "answer", "minus best-of-n", "p"]
    rows = []
    for row in record["at_budgets"]:
        place = f"{row['axis']} {format_number(row['place'], 1)}" + ("" if row["covered"] else ", the end")
        cells = [format_cost(row["budget"]), *([row["reward"]] if several else []), row["method"], place]
        cells += [format_estimate(row["answer"]), *format_difference(row["paired"])]
        if checks:
            cells += [format_estimate(row["held_out"]), *format_difference(row["held_out_paired"])]
        rows.append(tuple(cells))
    return (*head, *(["held-out", "minus best-of-n", "p"] if checks else [])), rows


def _cost_name(record: Record, name: str) -> str:
    return next((each["label"] for each in record["costs"] if each["name"] == name), name)


def format_cost(value: float) -> str:
    """Return *value* as a whole number; with decimals where it is small, as money and PFLOPs are."""
    return format_number(value, 0 if value >= 100 else 2 if value >= 1 else 6)


def _place(row: Record) -> str:
    """Return the place of the second method on its curve, or the end of a curve that is too short."""
    if row["kind"] == "cap" and row["unpaid"]:
        return f"the cap pays no sample of {queries(row['unpaid'])}"
    if row["kind"] == "cap" and not row["covered"]:
        return f"needs n {format_number(row['needed'], 0)}"
    place = f"{'n' if is_best_of_n(row) else 'step'} {format_number(row['place'], 1)}"
    return place if row["covered"] else f"{place}, the end"


def is_best_of_n(row: Record) -> bool:
    """Return whether the second method of *row* is best-of-n."""
    return str(row["second"]).startswith("best-of-n")


def against_rows(record: Record) -> Rows:
    """Return head and rows of the methods with the same shape against each other."""
    several, checks = len(record["rewards"]) > 1, record["held_out_reward"] is not None
    rows = [
        (
            f"{row['first']} minus {row['second']}",
            *([row["reward"]] if several else []),
            *comparison_cells(row["paired"]),
            *(format_difference(row["held_out"]) if checks else ()),
        )
        for row in shown(record["against"])
    ]
    head = ("answers", *(["reward"] if several else []), *COMPARISON_HEAD)
    return (*head, *(["held-out difference", "p"] if checks else [])), rows
