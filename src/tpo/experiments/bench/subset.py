"""Subsets of a benchmark's rows: a published subset, and ``--limit``, both chosen by hashes.

A hash gives the same ranking on every machine and in every language, so a subset can be published as a rule.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from fractions import Fraction

from tpo.types import Query


def hash_subset(label: str, size: int) -> Callable[[int], tuple[int, ...]]:
    """Return a function from the number of rows to the *size* positions with the lowest hashes, ascending.

    The hash is the SHA-256 of ``LABEL/POSITION``; positions count from 0. With at most *size* rows it returns
    all.
    """

    def pick(rows: int) -> tuple[int, ...]:
        ranked = sorted(range(rows), key=lambda position: _rank(f"{label}/{position}"))
        return tuple(sorted(ranked[:size]))

    return pick


def stratified_subset(queries: Sequence[Query], limit: int | None, stratum: str | None) -> tuple[Query, ...]:
    """Return *limit* of *queries* in order, divided between strata in proportion to their sizes.

    Within a stratum the lowest hashes of ids are taken. A larger limit keeps all of a smaller one. *stratum*
    is a key of the metadata; None: one stratum.
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
    """Return *limit* divided in proportion to *sizes* by Sainte-Laguë's rule; ties go to the earlier one.

    No share falls when *limit* rises, as it may by largest remainders.
    """
    shares = [0] * len(sizes)
    for _ in range(limit):
        quotients = [Fraction(size, 2 * share + 1) for size, share in zip(sizes, shares, strict=True)]
        shares[quotients.index(max(quotients))] += 1
    return shares


def _rank(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
