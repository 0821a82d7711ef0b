"""Layout of a batch's tokens in one row without padding; shared prefixes occur once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LEAST = 16
"""Rows that a product has at least: with very few, other kernels run, which round in another way."""
BLOCK = 32
"""Attention over short conversations is computed in whole blocks of so many tokens, for the same reason."""
SHORT = 160
"""Tokens up to which it rounds a beginning alike, however long the conversation; longer ones share none."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions of a batch's tokens.

    *ids* and *positions* (1, row) are what is read. *unfolded* (tokens of all conversations) says for each
    where in the row it stands, each conversation filled up to whole blocks; *folded* (row) is the way back.
    *spans* are the conversations' beginnings in *unfolded* and their lengths, *ends* the places of their last
    tokens in the row; *last* are these as well, at least LEAST of them.
    """

    ids: Tensor
    positions: Tensor
    unfolded: Tensor
    folded: Tensor
    spans: list[tuple[int, int]]
    ends: list[int]
    last: Tensor


def lay_out(batch: Sequence[Sequence[int]]) -> Layout:
    """The layout of *batch*, in which short conversations that begin alike stand next to each other."""
    row: list[int] = []
    positions: list[int] = []
    unfolded: list[int] = []
    folded: list[int] = []
    spans: list[tuple[int, int]] = []
    ends: list[int] = []
    before: Sequence[int] = ()
    places: list[int] = []
    for one in batch:
        common = _common(before, one) if is_short(before) and is_short(one) else 0
        begin, end = len(unfolded), len(unfolded) + len(one)
        places = [*places[:common], *range(len(row), len(row) + len(one) - common)]
        row.extend(one[common:])
        positions.extend(range(common, len(one)))
        unfolded.extend([*places, *places[:1] * (whole_blocks(len(one)) - len(one))])
        folded.extend(range(begin + common, end))
        spans.append((begin, len(one)))
        ends.append(places[-1])
        before = one
    filling = [0] * (LEAST - len(row))
    return Layout(
        torch.tensor([[*row, *filling]]),
        torch.tensor([[*positions, *filling]]),
        torch.tensor(unfolded),
        torch.tensor([*folded, *filling]),
        spans,
        ends,
        torch.tensor([*ends, *ends[-1:] * (LEAST - len(ends))]),
    )


def is_short(one: Sequence[int]) -> bool:
    """Return whether the prefix of a conversation may be shared."""
    return len(one) <= SHORT


def whole_blocks(length: int) -> int:
    """*length*, and what is missing to whole blocks in a short conversation."""
    return length + -length % BLOCK if length <= SHORT else length


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return the length of the common prefix."""
    differs = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differs, min(len(one), len(other)))
