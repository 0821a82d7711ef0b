"""The benchmarks by name; one of the user's own is ``MODULE:OBJECT``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tpo.errors import ConfigError
from tpo.experiments.bench.benchmark import Benchmark
from tpo.naming import load_object

HOMES: Mapping[str, str] = MappingProxyType(
    {
        "alpaca-eval-2": "tpo.experiments.bench.judged.alpaca_eval:ALPACA_EVAL_2",
        "arena-hard-v0.1": "tpo.experiments.bench.judged.arena_hard:ARENA_HARD_V01",
        "arena-hard-v2.0": "tpo.experiments.bench.judged.arena_hard:ARENA_HARD_V20",
        "arena-hard-v2.0-creative": "tpo.experiments.bench.judged.arena_hard:ARENA_HARD_V20_CREATIVE",
        "hh-rlhf": "tpo.experiments.bench.hh_rlhf:HH_RLHF",
        "beavertails": "tpo.experiments.bench.beavertails:BEAVERTAILS",
        "xstest": "tpo.experiments.bench.xstest:XSTEST",
        "math-500": "tpo.experiments.bench.math500:MATH_500",
    }
)
"""Where each benchmark lives; its module is imported when it is asked for."""


def load_benchmark(name: str) -> Benchmark:
    """The benchmark called *name*, or the one that ``MODULE:OBJECT`` names.

    Raises:
        ConfigError: there is none, or what is named is no :class:`Benchmark`.
    """
    if name not in HOMES and ":" not in name:
        raise ConfigError(f"benchmark {name}: unknown; there are {', '.join(HOMES)}, and MODULE:OBJECT")
    found = load_object(HOMES.get(name, name), f"benchmark {name}")
    if not isinstance(found, Benchmark):
        raise ConfigError(f"benchmark {name}: it must be a Benchmark; got {found!r:.200}")
    return found
