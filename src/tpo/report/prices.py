"""Cost of policy calls at given prices per million tokens."""

from __future__ import annotations

from dataclasses import dataclass

from tpo.types import Usage

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a million prompt, completion and cached prompt tokens (None: same as prompt tokens)."""

    read: float
    written: float
    cached: float | None = None
    currency: str = "USD"
    """Name of the currency, shown with each cost."""

    def cost(self, usage: Usage) -> float:
        """Return the cost of *usage*."""
        cached = self.read if self.cached is None else self.cached
        fresh = usage.prompt_tokens - usage.cached_tokens
        spent = fresh * self.read + usage.cached_tokens * cached + usage.completion_tokens * self.written
        return spent / MILLION
