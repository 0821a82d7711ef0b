"""Table of queries as columns: the values that the page searches, sorts and filters by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from tpo.plurals import queries
from tpo.report.measures import QueryMeasures
from tpo.types import Trajectory, plain_text

MAX_QUERIES = 20_000
"""Queries of a run that a page shows; of a larger run it shows about as many, drawn by a hash of the id."""

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


def sample_place(query: str) -> float:
    """Return a number from 0 to 1 that the id *query* always gives; a sample has those below its share."""
    digest = hashlib.blake2b(query.encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48


def sample_note(shown: int, total: int) -> str:
    """Return the note on a page that shows *shown* of *total* queries."""
    return (
        f"Figures, comparisons and the table show {shown:,} of {queries(total)}, "
        "drawn by a hash of their ids; the totals cover all."
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
