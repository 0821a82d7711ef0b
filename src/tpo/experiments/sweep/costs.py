"""Cost measures of a sweep: tokens, completion tokens, calls, money, FLOPs and seconds.

Each except seconds is linear in prompt tokens, cached prompt tokens, completion tokens and calls. FLOPs are
2 x parameters x tokens, the cost of a forward pass without attention; a 70B policy spends the 9.3 PFLOPs that
the paper states for a query (arXiv 2501.12895, section 6) on 66,400 tokens. Seconds are measured for whole
queries, from start to end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tpo.errors import ConfigError
from tpo.report.prices import MILLION, Prices


@dataclass(frozen=True, slots=True)
class CostMeasure:
    """A cost in *unit*: *read* a prompt token, *written* a completion token, *call* a sample or critique.

    *label* names an axis. *cached* is the cost of a prompt token from the server's cache; None: as *read*.
    *roles* are the costs of roles that have a model of their own.
    """

    name: str
    label: str
    unit: str
    read: float
    written: float
    call: float = 0.0
    cached: float | None = None
    roles: Mapping[str, CostMeasure] = field(default_factory=dict, hash=False)

    def of(self, read: float, written: float, calls: float, cached: float = 0.0) -> float:
        """Return the cost of so many prompt tokens, *cached* of them, completion tokens and calls."""
        saved = 0.0 if self.cached is None else (self.read - self.cached) * cached
        return self.read * read + self.written * written + self.call * calls - saved


TOKENS = CostMeasure("tokens", "prompt and completion tokens", "tokens", 1.0, 1.0)
WRITTEN = CostMeasure("written", "completion tokens", "tokens", 0.0, 1.0)
CALLS = CostMeasure("calls", "policy calls", "calls", 0.0, 0.0, 1.0)
SECONDS = CostMeasure("seconds", "seconds", "seconds", 0.0, 0.0)
COSTS = ("tokens", "written", "calls", "money", "flops", "seconds")
DEFAULT_COSTS = (TOKENS, WRITTEN)


def cost_measures(
    names: Sequence[str], prices: Prices | None = None, parameters: float | None = None
) -> tuple[CostMeasure, ...]:
    """Return the measures *names*, each once.

    Raises:
        ConfigError: a name is unknown, or its prices or the number of parameters are not given.
    """
    return tuple(_measure(name, prices, parameters) for name in dict.fromkeys(names))


def _measure(name: str, prices: Prices | None, parameters: float | None) -> CostMeasure:
    plain = {each.name: each for each in (TOKENS, WRITTEN, CALLS, SECONDS)}
    if name in plain:
        return plain[name]
    if name == "money":
        if prices is None:
            raise ConfigError("--cost money needs --price-in and --price-out")
        return _money(prices, prices.currency)
    if name == "flops":
        if parameters is None:
            raise ConfigError("--cost flops needs --parameters, the number of the policy's parameters")
        pflops = 2 * parameters / 1e15
        return CostMeasure(name, "PFLOPs (2 x parameters x tokens)", "PFLOPs", pflops, pflops)
    raise ConfigError(f"--cost {name}: unknown; there are {', '.join(COSTS)}")


def _money(prices: Prices, currency: str) -> CostMeasure:
    cached = None if prices.cached is None else prices.cached / MILLION
    return CostMeasure(
        "money",
        f"cost in {currency}",
        currency,
        prices.read / MILLION,
        prices.written / MILLION,
        cached=cached,
        roles={role: _money(own, currency) for role, own in prices.roles.items()},
    )
