"""A cache of blocks: what running sequences share is held once, what none holds is kept while it can be."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence


class Cache:
    """Room for *tokens*, in blocks of *block*. Blocks that nobody holds go, the least recently used first."""

    def __init__(self, tokens: int, block: int) -> None:
        self._tokens = tokens
        self._block = block
        self._kept: OrderedDict[int, None] = OrderedDict()
        self._holders: dict[int, int] = {}
        self._own = 0

    @property
    def held(self) -> int:
        """Tokens that running sequences hold."""
        return len(self._holders) * self._block + self._own

    def has_room(self, keys: Sequence[int], more: int) -> bool:
        """Whether a sequence with blocks *keys* and *more* tokens of its own could run beside the others."""
        new = sum(key not in self._holders for key in keys)
        return self.held + new * self._block + more <= self._tokens

    def take(self, keys: Sequence[int]) -> int:
        """Hold *keys*; how many of them, from the first on, were there already."""
        hits = 0
        while hits < len(keys) and (keys[hits] in self._holders or keys[hits] in self._kept):
            hits += 1
        for key in keys:
            self._holders[key] = self._holders.get(key, 0) + 1
            self._kept.pop(key, None)
        return hits

    def grow(self, tokens: int) -> None:
        """Running sequences have *tokens* more of their own, which nobody else can use."""
        self._own += tokens
        excess = self.held + len(self._kept) * self._block - self._tokens
        while excess > 0 and self._kept:
            self._kept.popitem(last=False)
            excess -= self._block

    def let_go(self, keys: Sequence[int], whole: Sequence[int]) -> None:
        """Hold *keys* no longer, and keep *whole*, all blocks of what has ended."""
        for key in keys:
            self._holders[key] -= 1
            if not self._holders[key]:
                del self._holders[key]
        for key in whole:
            if key not in self._holders:
                self._kept[key] = None
                self._kept.move_to_end(key)
        self.grow(0)
