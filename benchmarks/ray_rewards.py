"""Scores per second of rewards in process: two Ray workers against one, one thread each.

    PYTHONPATH=. python -m benchmarks.ray_rewards [--queries 400] [--words 100] [--rounds 2]

Runs in an environment with Ray (``make ray`` makes one, .venv-ray). Queries of D1-N2 are answered at once by
a scripted engine, in ``--words`` words; the embedded reward scores them. One and two workers take turns.
Rates count between 20 and 90 % of the queries, when all workers run and none has run out of work. Driver and
Ray's own processes share the cores with the workers; scores per CPU second of the workers do not depend on
other load. Workers have the priority of the driver; Ray's default is lower. The result goes to
``benchmarks/results/ray_rewards.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.instant import InstantPolicy
from benchmarks.ray_run import Watch, on_ray
from benchmarks.record import write_result

from tpo.config import load_reward
from tpo.rewards.base import Reward
from tpo.runs.models import Models, Relay

SHARES = (0.2, 0.9)
SCORES = 4
"""Scores of a query of D1-N2."""


def embedded(words: int, events: Relay) -> Models:
    """Return the scripted policy with the embedded reward, on one thread."""
    import torch

    torch.set_num_threads(1)
    reward: Reward = load_reward("tiny")
    return Models(InstantPolicy(words), reward, events)


async def rate(workers: int, queries: int, words: int, folder: Path) -> dict[str, float]:
    """Return scores per second of wall clock, and per CPU second of the workers."""
    watch = Watch(queries, SHARES)
    await on_ray(watch, folder, partial(embedded, words), workers, block_size=16)
    first, last = watch.marks
    scores = SCORES * (last["ended"] - first["ended"])
    return {
        "per_second": round(scores / (last["seconds"] - first["seconds"]), 1),
        "per_cpu_second": round(scores / (last["workers_cpu"] - first["workers_cpu"]), 1),
        "driver_cpu_share": round(
            (last["driver_cpu"] - first["driver_cpu"]) / (last["workers_cpu"] - first["workers_cpu"]), 3
        ),
    }


async def measure(queries: int, words: int, rounds: int) -> dict[str, Any]:
    """Measure one and two workers in turn."""
    found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        for number in range(rounds):
            for workers, rates in found.items():
                rates.append(await rate(workers, queries, words, Path(name, f"{workers}-{number}")))
    means = {
        key: [fmean(each[key] for each in rates) for rates in found.values()]
        for key in ("per_second", "per_cpu_second")
    }
    return {
        "queries": queries,
        "words": words,
        "one_worker": found[1],
        "two_workers": found[2],
        "ratio": round(means["per_second"][1] / means["per_second"][0], 2),
        "ratio_per_cpu_second": round(2 * means["per_cpu_second"][1] / means["per_cpu_second"][0], 2),
    }


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--words", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - the name that Ray reads
    write_result("ray_rewards", asyncio.run(measure(**vars(parser.parse_args()))), "ray", "torch")


if __name__ == "__main__":
    main()
