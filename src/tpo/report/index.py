"""The table of queries as columns: all that is searched, sorted and filtered by, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tpo.report.measures import Measures
from tpo.types import Trajectory, plain_text

PREVIEW = 160
"""Characters of a question that the table shows and searches; the rest is read on demand."""

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
class Index:
    """Grows by a row a query, in the order of the run's file."""

    columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in COLUMNS})

    def add(self, trajectory: Trajectory, measures: Measures) -> None:
        """Another row."""
        for name, value in _row(trajectory, measures).items():
            self.columns[name].append(value)

    def replace(self, row: int, trajectory: Trajectory, measures: Measures) -> None:
        """What stands in *row* instead of what stood there."""
        for name, value in _row(trajectory, measures).items():
            self.columns[name][row] = value


def _row(trajectory: Trajectory, measures: Measures) -> dict[str, Any]:
    return {
        "id": trajectory.query.id,
        "text": _preview(trajectory),
        "failed": int(not measures.finished),
        "answer": rounded(measures.answer),
        "gain": rounded(measures.gain),
        "step": measures.answer_step,
        "malformed": measures.malformed,
        "tokens": measures.usage.prompt_tokens + measures.usage.completion_tokens,
    }


def rounded(value: float | None) -> float | None:
    """*value* as short as a reader can use; exact ones stand with the trajectory."""
    return None if value is None else float(f"{value:.6g}")


def _preview(trajectory: Trajectory) -> str:
    messages = trajectory.query.messages
    text = plain_text(messages[-1])[: 4 * PREVIEW] if messages else ""
    return " ".join(text.split())[:PREVIEW]
