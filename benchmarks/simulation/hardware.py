"""What a step of an engine takes: a roofline of memory and arithmetic, and what the host adds."""

from __future__ import annotations

from dataclasses import dataclass

from tpo.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """A model on its cards. All times in seconds.

    Matrix products read the weights once and compute every token of the batch, written or read: the longer
    of both counts. Attention reads the cache of each running sequence between them, so that its time is
    added, as is the host's own part. So small batches wait for memory, where a few more sequences cost
    little, and large ones or long prompts for arithmetic.

    Attributes:
        weights: reading the weights once.
        context: reading one token of cache.
        token: computing one token.
        host: a step's own overhead, and *host_sequence* for each running sequence.
        sequences: most that run at a time.
        batch_tokens: most tokens that a step computes; longer prompts are read in pieces.
        cache_tokens: room for caches, of running sequences and of those kept for their prefix.
        block: tokens of a block; prefixes are found again in whole blocks.
        overlaps: whether caches are read while products are computed, as no engine in common use does: a
            bound for those that might.
    """

    weights: float
    context: float
    token: float
    host: float
    host_sequence: float
    sequences: int = 256
    batch_tokens: int = 8192
    cache_tokens: int = 400_000
    block: int = 16
    overlaps: bool = False

    def __post_init__(self) -> None:
        for name in ("sequences", "batch_tokens", "cache_tokens", "block"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.batch_tokens <= self.sequences:
            raise ConfigError(
                f"batch_tokens is {self.batch_tokens}: with {self.sequences} sequences running, a step would "
                "have no token left to read a prompt with; raise it, or lower sequences"
            )

    def seconds(self, decoding: int, context: int, prompt_tokens: int = 0, steps: int = 1) -> float:
        """*steps* steps in which *decoding* sequences, of *context* tokens together, write one token each.

        *prompt_tokens* are read in each of them. Every step the context grows by what was written.
        """
        compute = self.token * (decoding + prompt_tokens)
        growth = self.context * decoding
        host = steps * (self.host + self.host_sequence * decoding)
        if self.overlaps:
            return host + _sum_of_max(self.weights + self.context * context, growth, compute, steps)
        attention = steps * self.context * context + growth * steps * (steps - 1) / 2
        return host + steps * max(self.weights, compute) + attention


def _sum_of_max(start: float, growth: float, floor: float, steps: int) -> float:
    """The sum over j < steps of max(start + growth * j, floor)."""
    below = 0
    if start < floor:
        below = steps if growth <= 0 else min(steps, int((floor - start) / growth) + 1)
    above = steps - below
    return below * floor + above * start + growth * (steps * (steps - 1) - below * (below - 1)) / 2


LARGE = Hardware(
    weights=13.0e-3, context=3.0e-8, token=5.9e-5, host=3.0e-3, host_sequence=5e-6, cache_tokens=460_000
)
"""70B in bfloat16 on four H100, by data sheets and not measured.

35 GB of weights a card at 80 % of 3.35 TB/s, 80 kB of cache a token and card, 60 % of 990 TFLOP/s, and 3 ms a
step for the host and 160 all-reduces.
"""

SMALL = Hardware(
    weights=5.6e-3, context=4.5e-8, token=2.7e-5, host=1.5e-3, host_sequence=5e-6, cache_tokens=420_000
)
"""8B in bfloat16 on one H100, by the same arithmetic."""
