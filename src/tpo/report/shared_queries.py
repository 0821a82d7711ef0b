"""Shared queries: the queries on which arms are compared, which all of them finished.

A query that fails in only one arm is usually hard, and an arm without it looks better than arms that answered
it. Tables and figures that compare arms therefore use shared queries.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

MIN_SHARE = 0.5
"""Minimum number of finished queries for comparison, as a share of the largest arm's number."""

Q = TypeVar("Q", bound=Hashable)


@dataclass(frozen=True, slots=True)
class SharedQueries(Generic[Q]):
    """The *queries* of all compared arms, and the indices *apart* of the arms that are not compared.

    An arm is not compared if it has finished too few queries. Its numbers cover its own queries.
    """

    queries: frozenset[Q]
    apart: frozenset[int]


def shared_queries(arms: Sequence[Collection[Q]], min_share: float = MIN_SHARE) -> SharedQueries[Q]:
    """Return the queries on which *arms* can be compared; each arm is given as its finished queries."""
    most = max(map(len, arms), default=0)
    apart = frozenset(n for n, arm in enumerate(arms) if not arm or len(arm) < min_share * most)
    compared = [set(arm) for n, arm in enumerate(arms) if n not in apart]
    return SharedQueries(frozenset(set.intersection(*compared)) if compared else frozenset(), apart)


def natural_key(query: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Return a sort key for query ids that orders numbers by value: q9 comes before q10."""
    pieces = re.findall(r"[0-9]+|[^0-9]+", query)
    digits = [piece.lstrip("0") if piece[0] in "0123456789" else None for piece in pieces]
    numbers = tuple(
        (0, piece) if n is None else (1 + len(n), n) for n, piece in zip(digits, pieces, strict=True)
    )
    return numbers, query
