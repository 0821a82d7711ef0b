"""Selection of the waiting items that are computed in one batch."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate, takewhile
from typing import TypeVar

Item = TypeVar("Item")


def first_batch(waiting: Sequence[Item], length: Callable[[Item], int], budget: int) -> list[Item]:
    """Those that wait longest, of together at most *budget*: for batches without padding.

    An item larger than the budget goes alone.
    """
    sums = accumulate(map(length, waiting))
    return list(waiting[: max(1, sum(1 for _ in takewhile(lambda held: held <= budget, sums)))])


def next_batch(waiting: Sequence[Item], length: Callable[[Item], int], budget: int) -> list[Item]:
    """The item that waits longest (the first), and those nearest to it in length, within *budget*.

    A batch costs its number of items times the longest of them, since shorter ones are padded. An item larger
    than the budget goes alone. So nothing waits for ever, and little is padding.
    """
    if not waiting:
        return []
    order = sorted(range(len(waiting)), key=lambda at: (length(waiting[at]), at))
    lengths = [length(waiting[at]) for at in order]
    low = bisect_left([(size, at) for size, at in zip(lengths, order, strict=True)], (length(waiting[0]), 0))
    high = low + 1
    while True:
        down = lengths[low] - lengths[low - 1] if low > 0 else None
        up = lengths[high] - lengths[high - 1] if high < len(order) else None
        if up is not None and (high - low + 1) * lengths[high] > budget:
            up = None
        if down is not None and (high - low + 1) * lengths[high - 1] > budget:
            down = None
        if down is None and up is None:
            return [waiting[at] for at in order[low:high]]
        if up is None or (down is not None and down <= up):
            low -= 1
        else:
            high += 1
