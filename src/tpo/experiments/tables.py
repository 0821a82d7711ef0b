"""Numbers and tables as text: Markdown for reading; what models and data say is escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Sequence[str]
Record = Mapping[str, Any]
DASH = "\N{EN DASH}"
NOT_COMPUTED = "not computed"
"""In place of a number that would be wrong; beside refusals that are counted, no other word is clear."""

SKEWED = "\N{DAGGER}"
"""Marks an interval of few queries with a skewed distribution."""

SKEWED_NOTE = (
    f"{SKEWED}: fewer than 100 queries, with a skewed distribution: the interval covers less than its 95%"
)


def markdown_table(head: Row, rows: Sequence[Row]) -> str:
    """A table in GitHub's Markdown, its columns lined up."""
    cells = [[md(cell) for cell in row] for row in (head, *rows)]
    widths = [max(3, *(len(row[k]) for row in cells)) for k in range(len(head))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def md(text: str) -> str:
    """*text* on one line, its signs of Markdown escaped."""
    return re.sub(r"([|\\`*<>])", r"\\\1", _one_line(text))


def number(value: float | None, digits: int = 2) -> str:
    """Return *value* with a true minus sign, and none before what rounds to zero; a dash for None."""
    return DASH if value is None else _unsigned_zero(f"{value:,.{digits}f}").replace("-", "\N{MINUS SIGN}")


def signed(value: float | None, digits: int = 2) -> str:
    """Return *value* as :func:`number` does, with a plus sign before gains."""
    text = number(value, digits)
    return f"+{text}" if value is not None and value > 0 and text.strip("0.,") else text


def estimate(value: Record | None, digits: int = 2, unit: str = "", *, around: bool = True) -> str:
    """Return ``1.25 [1.10, 1.40]`` of an estimate's record; a dash for None."""
    if value is None:
        return DASH
    text = f"{number(value['value'], digits)}{unit}"
    return text + _around(value, digits, number) if around else text


def difference(paired: Record | None, digits: int = 2) -> tuple[str, str]:
    """Return the difference with its interval and p of a paired comparison's record; dashes for None."""
    if paired is None:
        return DASH, DASH
    by = paired["difference"]
    return f"{signed(by['value'], digits)}{_around(by, digits, signed)}", number(paired["p"], 4)


def outcomes(paired: Record) -> str:
    """Return wins, ties and losses."""
    return ", ".join(f"{paired[name]:,}" for name in ("wins", "ties", "losses"))


def interval(metric: Record) -> str:
    """Return ``61.2% [58.0, 64.4]`` of a metric's record."""
    if metric["value"] is None:
        return NOT_COMPUTED if metric["note"] else DASH
    return estimate(metric, digits_of(metric["unit"]), metric["unit"])


def digits_of(unit: str) -> int:
    """Return the decimals that values in *unit* are shown with."""
    return 1 if unit == "%" else 2


def any_skewed(record: object) -> bool:
    """Return whether an estimate anywhere in *record* is marked as skewed."""
    if isinstance(record, Mapping):
        return record.get("skewed") is True or any(map(any_skewed, record.values()))
    return isinstance(record, list | tuple) and any(map(any_skewed, record))


def _around(value: Record, digits: int, shown: Callable[[float | None, int], str]) -> str:
    if value["low"] is None:
        return ""
    mark = SKEWED if value.get("skewed") else ""
    return f" [{shown(value['low'], digits)}, {shown(value['high'], digits)}]{mark}"


def _unsigned_zero(text: str) -> str:
    return text if text.strip("-0.,") else text.lstrip("-")


def _one_line(text: str) -> str:
    return " ".join(text.split())
