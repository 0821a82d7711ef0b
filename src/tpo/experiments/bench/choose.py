"""Which rows of a set are asked: a published choice, and a user's ``--limit``, both by hashes.

A hash ranks the same on every machine and in every language, so a choice can be published as its rule.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence

from tpo.types import Query


def lowest_hashes(label: str, size: int) -> Callable[[int], tuple[int, ...]]:
    """Of so many rows the *size* positions whose SHA-256 of ``LABEL/POSITION`` is lowest, in rising order.

    Positions count from 0; all of them where there are no more.
    """

    def pick(rows: int) -> tuple[int, ...]:
        ranked = sorted(range(rows), key=lambda position: _rank(f"{label}/{position}"))
        return tuple(sorted(ranked[:size]))

    return pick


def limited(queries: Sequence[Query], limit: int | None, stratum: str | None) -> tuple[Query, ...]:
    """*limit* of *queries* in their order, each stratum with its share; within one, the lowest hashes of ids.

    Shares are proportional, what rounding leaves going to the largest remainders. *stratum* is a key of the
    metadata; without one all are of one stratum.
    """
    if limit is None or limit >= len(queries):
        return tuple(queries)
    strata: dict[str, list[int]] = defaultdict(list)
    for position, query in enumerate(queries):
        strata[str(query.metadata.get(stratum)) if stratum else ""].append(position)
    chosen: set[int] = set()
    for members, share in zip(
        strata.values(), _shares([len(m) for m in strata.values()], limit), strict=True
    ):
        chosen.update(sorted(members, key=lambda position: _rank(queries[position].id))[:share])
    return tuple(query for position, query in enumerate(queries) if position in chosen)


def _shares(sizes: Sequence[int], limit: int) -> list[int]:
    """*limit* in proportion to *sizes*, by largest remainders, the earlier of equals first."""
    total = sum(sizes)
    shares = [size * limit // total for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (-(sizes[i] * limit % total), i))
    for index in by_remainder[: limit - sum(shares)]:
        shares[index] += 1
    return shares


def _rank(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
