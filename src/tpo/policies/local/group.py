"""Rows that go on from one text, and how they are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tpo.policies.local.cache import Kept
from tpo.policies.local.row import Row

MOST_LANES = 8
"""Rows of a group: each attends over the others' tokens too, masked, so more would compute too much."""


@dataclass(eq=False, slots=True)
class Group:
    """Rows that go on from one text, what is kept of its beginning, and the step *since* which they wait."""

    rows: Sequence[Row]
    kept: Kept | None = None
    since: int = 0

    @property
    def text(self) -> tuple[int, ...]:
        """Prompt that all rows continue."""
        return self.rows[0].text

    @property
    def over(self) -> bool:
        """Return whether all rows were abandoned."""
        return all(row.over for row in self.rows)

    def slots(self, growth: int) -> int:
        """The room that the group is expected to need when each row grows by *growth* tokens."""
        left = max(row.max_tokens - len(row.tokens) for row in self.rows)
        return self.rows[0].length + len(self.rows) * min(left, growth)


def grouped(rows: Sequence[Row], growth: int) -> list[Group]:
    """*rows* by their texts; alone, where a text is shorter than the *growth* that each row would add.

    A shared text saves its length for every row but the first; the others' tokens cost each row their own.
    """
    groups: dict[tuple[int, ...], list[list[Row]]] = {}
    for row in rows:
        parts = groups.setdefault(row.text, [[]])
        if len(parts[-1]) == (MOST_LANES if row.length >= growth else 1):
            parts.append([])
        parts[-1].append(row)
    return [Group(part) for parts in groups.values() for part in parts]
