"""Table of queries as columns: the values that the page searches, sorts and filters by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tpo.report.measures import QueryMeasures
from tpo.types import Trajectory, plain_text

PREVIEW = 160
"""Characters of a question that the table shows and searches; the full text is loaded on demand."""

COLUMNS = (
    "id",
    "text",
    "failed",
    "answer",
    "gain",
    "step",
    "malformed",
    "tokens",
)


@dataclass
class QueryTable:
    """Columns with one row per query, in the order of the run's file."""

    columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in COLUMNS})

    def add(self, trajectory: Trajectory, measures: QueryMeasures) -> None:
        """Append a row."""
        for name, value in _row(trajectory, measures).items():
            self.columns[name].append(value)

    def replace(self, row: int, trajectory: Trajectory, measures: QueryMeasures) -> None:
        """Replace the values of *row*."""
        for name, value in _row(trajectory, measures).items():
            self.columns[name][row] = value


def _row(trajectory: Trajectory, measures: QueryMeasures) -> dict[str, Any]:
    return {
        "id": trajectory.query.id,
        "text": _preview(trajectory),
        "failed": int(not measures.finished),
        "answer": _round_for_display(measures.answer),
        "gain": _round_for_display(measures.gain),
        "step": measures.answer_step,
        "malformed": measures.malformed,
        "tokens": measures.usage.tokens,
    }


def _round_for_display(value: float | None) -> float | None:
    """Return *value* with six significant digits; the trajectory holds the exact value."""
    return None if value is None else float(f"{value:.6g}")


def _preview(trajectory: Trajectory) -> str:
    messages = trajectory.query.messages
    text = plain_text(messages[-1])[: 4 * PREVIEW] if messages else ""
    return " ".join(text.split())[:PREVIEW]
