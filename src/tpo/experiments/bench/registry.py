"""Registry of benchmarks: entry points of the group ``tpo.benchmarks``, or ``MODULE:OBJECT``."""

from __future__ import annotations

from tpo.entry_points import BENCHMARKS, load, names
from tpo.errors import ConfigError
from tpo.experiments.bench.benchmark import Benchmark


def benchmark_names() -> list[str]:
    """Return the names of the registered benchmarks."""
    return names(BENCHMARKS)


def load_benchmark(name: str) -> Benchmark:
    """Import the benchmark called *name*, or the object ``MODULE:OBJECT``.

    Raises:
        ConfigError: there is none, or the object is not a :class:`Benchmark`.
    """
    found = load(BENCHMARKS, name, f"benchmark {name}")
    if not isinstance(found, Benchmark):
        raise ConfigError(f"benchmark {name}: it must be a Benchmark; got {found!r:.200}")
    return found
