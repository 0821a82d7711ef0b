"""What was measured of runs from outside, a benchmark's grades say: tables of a page of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a *head*, every cell a text."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Results:
    """The page ``Results``: what it is *about*, its *tables*, and *notes* that must be known beside them."""

    title: str
    about: Sequence[str] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()

    def record(self) -> dict[str, Any]:
        """In JSON's own types."""
        return asdict(self)
