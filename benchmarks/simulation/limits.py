"""What no schedule can beat: the longest chain, the work at its best batch, and both under one clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from benchmarks.simulation.engine import Totals
from benchmarks.simulation.hardware import Hardware
from benchmarks.simulation.schedules import Outcome


@dataclass(frozen=True, slots=True)
class Limit:
    """Lower bounds of the makespan, in seconds.

    Attributes:
        chain: the longest query's chain of calls, alone on an idle engine.
        work: everything that must be computed, in batches that are always full.
        joint: what holds where both count: the chain's steps must be made, and every sequence that shares
            them makes them longer, by what it reads, whatever the schedule.
    """

    chain: float
    work: float
    joint: float

    @property
    def seconds(self) -> float:
        """The larger of chain and work."""
        return max(self.chain, self.work)


def limit(hardware: Hardware, least: Outcome) -> Limit:
    """The bounds for the work of *least*: each query alone, on an engine that computes nothing twice."""
    done, chain = least.engine, max(least.times.values())
    full = done.written_tokens / hardware.sequences
    steps = max(full, max(least.steps.values()))  # a token of a chain waits for the one before, in any batch
    return Limit(chain, _seconds(hardware, done, full), max(chain, _seconds(hardware, done, steps)))


def _seconds(hardware: Hardware, done: Totals, steps: float) -> float:
    """The least time for *done* in *steps* steps: of memory and arithmetic at least the larger sum counts."""
    weights, attention = hardware.weights * steps, hardware.context * done.context_steps
    compute = hardware.token * (done.written_tokens + done.computed_tokens)
    device = max(weights + attention, compute) if hardware.overlaps else max(weights, compute) + attention
    return hardware.host * steps + hardware.host_sequence * done.written_tokens + device


def unlimited(hardware: Hardware) -> Hardware:
    """*hardware* with a cache that forgets nothing."""
    return replace(hardware, cache_tokens=math.inf)  # type: ignore[arg-type]  # compared only
