"""Paired comparison of two runs on the same queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from tpo.report.line_figures import RunMeasures
from tpo.report.measures import QueryMeasures
from tpo.report.statistics import PairedComparison, compare_paired, holm


@dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of run *first* with run *second*; *paired* is None if they share no finished query."""

    first: int
    second: int
    paired: PairedComparison | None
    other_question: int
    """Number of queries with the same id but different messages; they are excluded."""

    def record(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return asdict(self)


def compare_all(runs: Sequence[RunMeasures]) -> list[Comparison]:
    """Compare every pair of *runs* with the same reward by the rewards of their answers.

    p is adjusted for all comparisons (Holm).
    """
    pairs = combinations(runs, 2)
    found = [_compare(first, second) for first, second in pairs if first.reward == second.reward]
    adjusted = iter(holm([each.paired.p for each in found if each.paired is not None]))
    return [
        each if each.paired is None else replace(each, paired=replace(each.paired, p=next(adjusted)))
        for each in found
    ]


def _compare(first: RunMeasures, second: RunMeasures) -> Comparison:
    there = {m.query: m for m in second.measures}
    both = [(m, there[m.query]) for m in first.measures if m.query in there]
    same = [(a, b) for a, b in both if a.digest == b.digest]
    result = compare_paired([_answer(a) for a, _ in same], [_answer(b) for _, b in same]) if same else None
    return Comparison(first.number, second.number, result, len(both) - len(same))


def _answer(measures: QueryMeasures) -> float:
    assert measures.answer is not None  # noqa: S101 - only queries with an answer are measured
    return measures.answer
