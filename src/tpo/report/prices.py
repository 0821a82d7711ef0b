"""Cost of policy calls at given prices per million tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    roles: Mapping[str, Prices] = field(default_factory=dict)
    """Prices of roles that have a model of their own."""

    def of(self, role: str) -> Prices:
        """Return the prices of *role*'s model."""
        return self.roles.get(role, self)

    def total(self, usage: Usage, roles: Mapping[str, Usage]) -> float:
        """Return the cost of *usage*, of which the calls of *roles* have the prices of their roles."""
        apart = sum((roles[role] for role in self.roles if role in roles), Usage())
        own = Usage(
            usage.calls - apart.calls,
            usage.prompt_tokens - apart.prompt_tokens,
            usage.cached_tokens - apart.cached_tokens,
            usage.completion_tokens - apart.completion_tokens,
        )
        return self.cost(own) + sum(
            prices.cost(roles[role]) for role, prices in self.roles.items() if role in roles
        )

    def cost(self, usage: Usage) -> float:
        """Return the cost of *usage*."""
        cached = self.read if self.cached is None else self.cached
        fresh = usage.prompt_tokens - usage.cached_tokens
        spent = fresh * self.read + usage.cached_tokens * cached + usage.completion_tokens * self.written
        return spent / MILLION
