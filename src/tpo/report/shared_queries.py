"""The queries that arms are compared on: those that all of them finished.

A query that fails in one arm only is most often a hard one, and an arm that lacks it looks better than it is
beside arms that answered it. So tables and figures that show arms side by side use shared queries.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

LEAST = 0.5
"""Share of the queries of the fullest arm that an arm must have finished to be compared."""

Q = TypeVar("Q", bound=Hashable)


@dataclass(frozen=True, slots=True)
class SharedQueries(Generic[Q]):
    """The *queries* that all compared arms have; *apart* are the numbers of the arms that are not compared.

    An arm that stands apart has finished so few queries that comparing on them would say little of the
    others: its numbers are of its own queries, and are compared with nothing.
    """

    queries: frozenset[Q]
    apart: frozenset[int]


def shared_queries(arms: Sequence[Collection[Q]], least: float = LEAST) -> SharedQueries[Q]:
    """Return what *arms*, each the queries that it has finished, can be compared on."""
    most = max(map(len, arms), default=0)
    apart = frozenset(n for n, arm in enumerate(arms) if not arm or len(arm) < least * most)
    compared = [set(arm) for n, arm in enumerate(arms) if n not in apart]
    return SharedQueries(frozenset(set.intersection(*compared)) if compared else frozenset(), apart)


def natural(query: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Return the sort key of a query's id: numbers in it count by value, so that q9 comes before q10."""
    pieces = re.findall(r"[0-9]+|[^0-9]+", query)
    digits = [piece.lstrip("0") if piece[0] in "0123456789" else None for piece in pieces]
    numbers = tuple(
        (0, piece) if n is None else (1 + len(n), n) for n, piece in zip(digits, pieces, strict=True)
    )
    return numbers, query
