"""Two runs on the same queries: who answers better, by how much, and whether chance would do the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from tpo.report.curves import Measured
from tpo.report.measures import Measures
from tpo.report.statistics import Paired, paired


@dataclass(frozen=True, slots=True)
class Comparison:
    """*first* against *second*; None of *paired* where they share no query that both finished."""

    first: int
    second: int
    paired: Paired | None
    other_question: int
    """Queries of the same id that ask something else in each run; they are left out."""

    def record(self) -> dict[str, Any]:
        """In JSON's own types."""
        return asdict(self)


def compare_all(runs: Sequence[Measured]) -> list[Comparison]:
    """Compare every two of *runs* that have the same reward, by the rewards of their answers."""
    pairs = combinations(runs, 2)
    return [_compare(first, second) for first, second in pairs if first.reward == second.reward]


def _compare(first: Measured, second: Measured) -> Comparison:
    there = {m.query: m for m in second.measures}
    both = [(m, there[m.query]) for m in first.measures if m.query in there]
    same = [(a, b) for a, b in both if a.digest == b.digest]
    result = paired([_answer(a) for a, _ in same], [_answer(b) for _, b in same]) if same else None
    return Comparison(first.number, second.number, result, len(both) - len(same))


def _answer(measures: Measures) -> float:
    assert measures.answer is not None  # noqa: S101 - only queries with an answer are measured
    return measures.answer
