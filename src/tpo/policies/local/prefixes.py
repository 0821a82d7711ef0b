"""Cache of recent prompts and replies, for prompts that continue them.

The loss, the gradient and the update of a query are one growing conversation: with the keys and values of
what came before at hand, only the new turn has to be read.
"""

from __future__ import annotations

from collections import OrderedDict

from tpo.policies.local.cache import Kept

LEAST = 32
"""Tokens in common below which nothing is gained."""

Text = tuple[int, ...]


class Prefixes:
    """The texts kept last, of together at most *budget* tokens. Belongs to one thread."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self.held = 0
        """Tokens that are kept."""
        self._kept: OrderedDict[Text, Kept] = OrderedDict()
        self.spared = 0
        """Prompt tokens that were not read again."""

    def keep(self, text: Text, kept: Kept) -> None:
        """Remember *kept*, of the first tokens of *text*, in place of what it goes on from."""
        text = text[: kept.count]
        for one in [one for one in self._alike(text) if text[: len(one)] == one]:
            self._forget(one)
        self._kept[text] = kept
        self.held += kept.count
        while self.held > self._budget:
            self._forget(next(iter(self._kept)))

    def find(self, text: Text) -> Kept | None:
        """Return the cached prefix of *text*, at most all but its last token."""
        count, best = max(((_common(one, text), one) for one in self._alike(text)), default=(0, ()))
        count = min(count, len(text) - 1)
        if count < LEAST:
            return None
        self._kept.move_to_end(best)
        self.spared += count
        return self._kept[best].first(count)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self.held = 0

    def _alike(self, text: Text) -> list[Text]:
        return [one for one in self._kept if one[:LEAST] == text[:LEAST]]

    def _forget(self, text: Text) -> None:
        self.held -= self._kept.pop(text).count


def _common(one: Text, other: Text) -> int:
    """Return the length of the common prefix."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
