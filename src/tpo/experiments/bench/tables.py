"""Results as tables: Markdown for reading, LaTeX for papers; what models and data say is escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Row = Sequence[str]
DASH = "\N{EN DASH}"

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\N{MINUS SIGN}": "$-$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


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


def latex_table(head: Row, rows: Sequence[Row], caption: str) -> str:
    """A ``table`` of ``booktabs`` with *caption*."""
    body = "\n".join(" & ".join(map(latex, row)) + r" \\" for row in rows)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex(caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            r"\toprule",
            " & ".join(map(latex, head)) + r" \\",
            r"\midrule",
            body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def latex(text: str) -> str:
    """*text* with LaTeX's own signs escaped."""
    return "".join(_LATEX.get(sign, sign) for sign in _one_line(text))


def number(value: float | None, digits: int = 2) -> str:
    """With a true minus sign; a dash for none."""
    return DASH if value is None else f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def signed(value: float | None, digits: int = 2) -> str:
    """As :func:`number`, a plus sign before gains."""
    return DASH if value is None else f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def interval(metric: Mapping[str, Any]) -> str:
    """``61.2 [58.0, 64.4]`` of a metric's record, its unit behind."""
    unit = metric["unit"]
    if metric["value"] is None:
        return "refused" if metric["note"] else DASH
    digits = 1 if unit == "%" else 2
    around = f" [{number(metric['low'], digits)}, {number(metric['high'], digits)}]"
    return f"{number(metric['value'], digits)}{unit}{around if metric['low'] is not None else ''}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
