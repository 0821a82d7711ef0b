"""Formatting of numbers and Markdown tables; texts of models and data sets are escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tpo.report.statistics import holm

Row = Sequence[str]
Record = Mapping[str, Any]
DASH = "\N{EN DASH}"
NOT_COMPUTED = "not computed"
"""Shown instead of a number that would be wrong; "refused" would be confused with refusals of the policy."""

SKEWED = "\N{DAGGER}"
"""Mark of an interval of a small sample with a skewed distribution."""

SKEWED_NOTE = (
    f"{SKEWED}: fewer than 100 queries with a skewed distribution: the interval covers less than 95%"
)
COMPARISON_HEAD = ("difference", "p", "wins, ties, losses")


def markdown_table(head: Row, rows: Sequence[Row]) -> str:
    """Return a table in GitHub Flavored Markdown with aligned columns."""
    cells = [[escape_markdown(cell) for cell in row] for row in (head, *rows)]
    widths = [max(3, *(len(row[k]) for row in cells)) for k in range(len(head))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def escape_markdown(text: str) -> str:
    """Return *text* on one line with Markdown's special characters escaped."""
    return re.sub(r"([|\\`*<>])", r"\\\1", _one_line(text))


def format_number(value: float | None, digits: int = 2) -> str:
    """Return *value* with a minus sign (U+2212), and no sign if it rounds to zero; a dash for None."""
    return DASH if value is None else _unsigned_zero(f"{value:,.{digits}f}").replace("-", "\N{MINUS SIGN}")


def format_signed(value: float | None, digits: int = 2) -> str:
    """Return *value* formatted by :func:`format_number`, with a plus sign if it is positive."""
    text = format_number(value, digits)
    return f"+{text}" if value is not None and value > 0 and text.strip("0.,") else text


def format_estimate(value: Record | None, digits: int = 2, unit: str = "", *, interval: bool = True) -> str:
    """Return an estimate's record as ``1.25 [1.10, 1.40]``; a dash for None."""
    if value is None:
        return DASH
    text = f"{format_number(value['value'], digits)}{unit}"
    return text + _interval(value, digits, format_number) if interval else text


def format_difference(paired: Record | None, digits: int = 2) -> tuple[str, str]:
    """Return the difference with its interval, and p, of a paired comparison's record; dashes for None.

    p is the one adjusted for several tests, if there is one.
    """
    if paired is None:
        return DASH, DASH
    by = paired["difference"]
    value = f"{format_signed(by['value'], digits)}{_interval(by, digits, format_signed)}"
    return value, format_number(paired.get("p_holm", paired["p"]), 4)


def comparison_cells(paired: Record, digits: int = 2) -> tuple[str, str, str]:
    """Return the cells under :data:`COMPARISON_HEAD`: difference, p, and wins, ties and losses."""
    outcomes = ", ".join(f"{paired[name]:,}" for name in ("wins", "ties", "losses"))
    return (*format_difference(paired, digits), outcomes)


def with_adjusted_p(
    rows: list[dict[str, Any]], tests: Sequence[str] = ("paired", "held_out")
) -> list[dict[str, Any]]:
    """Return *rows* with ``p_holm`` beside each p of *tests*: adjusted for all tests of the table."""
    paired = [row[name] for row in rows for name in tests if row[name] is not None]
    for each, p in zip(paired, holm([each["p"] for each in paired]), strict=True):
        each["p_holm"] = p
    return rows


def format_metric(metric: Record) -> str:
    """Return a metric's record as ``61.2% [58.0, 64.4]``."""
    if metric["value"] is None:
        return NOT_COMPUTED if metric["note"] else DASH
    return format_estimate(metric, decimals(metric["unit"]), metric["unit"])


def decimals(unit: str) -> int:
    """Return the number of decimals for values in *unit*."""
    return 1 if unit == "%" else 2


def any_skewed(record: object) -> bool:
    """Return whether any estimate in *record* is marked as skewed."""
    if isinstance(record, Mapping):
        return record.get("skewed") is True or any(map(any_skewed, record.values()))
    return isinstance(record, list | tuple) and any(map(any_skewed, record))


def _interval(value: Record, digits: int, form: Callable[[float | None, int], str]) -> str:
    if value["low"] is None:
        return ""
    mark = SKEWED if value.get("skewed") else ""
    return f" [{form(value['low'], digits)}, {form(value['high'], digits)}]{mark}"


def _unsigned_zero(text: str) -> str:
    return text if text.strip("-0.,") else text.lstrip("-")


def _one_line(text: str) -> str:
    return " ".join(text.split())
