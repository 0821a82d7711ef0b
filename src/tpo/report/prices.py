"""Cost of a run's policy calls at given prices per million tokens."""

from __future__ import annotations

from dataclasses import dataclass

from tpo.types import Usage

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """A million tokens read, written, and read from the server's cache (None: as any that are read)."""

    read: float
    written: float
    cached: float | None = None
    currency: str = "USD"
    """Name of the currency, shown beside each cost."""

    def cost(self, usage: Usage) -> float:
        """Of *usage*, cached tokens at their own price."""
        cached = self.read if self.cached is None else self.cached
        fresh = usage.prompt_tokens - usage.cached_tokens
        spent = fresh * self.read + usage.cached_tokens * cached + usage.completion_tokens * self.written
        return spent / MILLION
