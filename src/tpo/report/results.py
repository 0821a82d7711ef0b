"""Tables of external results, such as a benchmark's grades, for the page ``Results``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a header; all cells are texts."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Results:
    """Content of the page ``Results``: introductory sentences *about* it, *tables*, and *notes*."""

    title: str
    about: Sequence[str] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()

    def record(self) -> dict[str, Any]:
        """Return the content as JSON values."""
        return asdict(self)
