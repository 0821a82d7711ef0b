"""Selection by consensus: the response that most others resemble; no evaluator (arXiv 2601.02535)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

from tpo.types import Candidate, Query

Matrix = list[list[float]]
Ngrams = frozenset[tuple[str, ...]]

ORDERS = (1, 2, 3)
"""Lengths of the n-grams of words that are compared."""
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai and Lao; Myanmar; Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
"""Characters of scripts that are written without spaces."""
_WORD = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]+")
"""A word; in scripts that are written without spaces, a character."""
POWER_STEPS = 100
SEPARATION = 0.5
"""A group is split where the similarity across is below this share of the similarity within."""


@dataclass(frozen=True)
class Consensus:
    """The most central response of the largest group of similar ones.

    Responses are nodes of a graph; an edge weighs the sum of the Jaccard similarities of their uni-, bi- and
    trigrams. An order for which both responses are too short counts as the mean of the others. The graph is
    split in two by the sign of its Fiedler vector, and the larger part is kept, as long as the parts differ.
    The paper leaves that condition to a threshold; ours is ``SEPARATION``. Rewards only break ties.
    """

    name: ClassVar[str] = "consensus"

    def select(self, query: Query, pool: Sequence[Candidate]) -> Candidate:
        """Return the most central response."""
        del query
        similar = similarities([candidate.text for candidate in pool])
        group = list(range(len(pool)))
        while (larger := _larger_part(similar, group)) is not None:
            group = larger
        return pool[max(group, key=lambda i: (sum(similar[i][j] for j in group if j != i), pool[i].reward))]


def similarities(texts: Sequence[str]) -> Matrix:
    """Return the similarity of each pair of *texts*, from 0 to 3; 0 with itself."""
    grams = [[_ngrams(text, order) for order in ORDERS] for text in texts]
    return [
        [0.0 if i == j else _similarity(grams[i], grams[j]) for j in range(len(texts))]
        for i in range(len(texts))
    ]


def _ngrams(text: str, order: int) -> Ngrams:
    words = _WORD.findall(text.lower())
    return frozenset(zip(*(words[start:] for start in range(order)), strict=False))


def _similarity(one: Sequence[Ngrams], other: Sequence[Ngrams]) -> float:
    """Return the mean of the Jaccard similarities of orders with n-grams in either text, times all orders.

    Two texts without any n-gram are equal.
    """
    both = [(a, b) for a, b in zip(one, other, strict=True) if a or b]
    return len(ORDERS) * fmean([len(a & b) / len(a | b) for a, b in both] or [1.0])


def _larger_part(similar: Matrix, group: list[int]) -> list[int] | None:
    """Return the larger part of *group*, or None if it is not to be split."""
    if len(group) < 3:
        return None
    fiedler = _fiedler([[similar[i][j] for j in group] for i in group])
    parts = [
        [i for i, value in zip(group, fiedler, strict=True) if (value >= 0) == side] for side in (True, False)
    ]
    larger, smaller = sorted(parts, key=lambda part: (len(part), _within(similar, part)), reverse=True)
    if not smaller or len(larger) < 2:
        return None
    across = fmean(similar[i][j] for i in larger for j in smaller)
    return larger if across < SEPARATION * _within(similar, larger) else None


def _within(similar: Matrix, part: list[int]) -> float:
    """Return the mean similarity within *part*."""
    return fmean([similar[i][j] for i in part for j in part if i < j] or [0.0])


def _fiedler(weights: Matrix) -> list[float]:
    """Return the eigenvector of the Laplacian's second smallest eigenvalue, by power iteration."""
    count = len(weights)
    degrees = [sum(row) for row in weights]
    shift = 2 * max(degrees) + 1e-9  # no eigenvalue of the Laplacian is larger
    vector = [math.cos(1.0 + 2.0 * i) for i in range(count)]
    for _ in range(POWER_STEPS):
        mean = fmean(vector)
        vector = [value - mean for value in vector]
        vector = [
            (shift - degrees[i]) * vector[i] + sum(w * v for w, v in zip(weights[i], vector, strict=True))
            for i in range(count)
        ]
        size = math.sqrt(sum(value * value for value in vector)) or 1.0
        vector = [value / size for value in vector]
    return vector
