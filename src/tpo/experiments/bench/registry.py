"""Benchmarks by name, entry points in the group ``tpo.benchmarks``; or ``MODULE:OBJECT``, the user's own."""

from __future__ import annotations

from tpo.entry_points import BENCHMARKS, load, names
from tpo.errors import ConfigError
from tpo.experiments.bench.benchmark import Benchmark


def benchmark_names() -> list[str]:
    """Return the names of the registered benchmarks."""
    return names(BENCHMARKS)


def load_benchmark(name: str) -> Benchmark:
    """Import the benchmark called *name*, or the one that ``MODULE:OBJECT`` names.

    Raises:
        ConfigError: there is none, or what is named is no :class:`Benchmark`.
    """
    found = load(BENCHMARKS, name, f"benchmark {name}")
    if not isinstance(found, Benchmark):
        raise ConfigError(f"benchmark {name}: it must be a Benchmark; got {found!r:.200}")
    return found
