"""A large run on Ray: memory, throughput per worker against one process, and the time to resume it.

    PYTHONPATH=. python -m benchmarks.ray_run [--queries 100000] [--rewards 1000]

Runs in an environment with Ray (``make ray`` makes one, .venv-ray). Queries of D1-N2 are answered at once by
a scripted engine, in 20 words, so that all time is that of this package and of Ray. Throughput is given by
wall clock and by CPU time of the process that runs the queries, since the machine may be shared; on Ray
between the first mark and the last. ``--rewards`` queries are then scored by the embedded reward in one and
in two workers of one thread each; 0 leaves that out. The result goes to ``benchmarks/results/ray_run.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from benchmarks.instant import InstantPolicy, LengthReward
from benchmarks.record import write_result

from tpo.config import load_reward, load_settings
from tpo.events import Event, QueryEnded
from tpo.rewards.base import Reward
from tpo.runs.inputs import KnownIds, RunInput
from tpo.runs.models import Models, Relay, no_models
from tpo.runs.plan import RunPlan
from tpo.runs.summary import Summary
from tpo.scale.driver import execute_on_ray
from tpo.types import Query, user

MARKS = (0.1, 0.5, 0.95)
"""Shares of the queries at which memory is read; at the end, workers may be gone."""


@dataclass(frozen=True)
class Questions:
    """*total* short questions."""

    total: int
    source: str = "questions"
    digest: str = "sha256:questions"

    @property
    def queries(self) -> Iterator[Query]:
        """The questions, one at a time."""
        for number in range(self.total):
            yield Query(f"q{number}", (user(f"Question {number}: what is its square?"),), position=number)

    def identified(self, known: KnownIds) -> Iterator[Query]:
        """Return the questions; they have ids of their own."""
        del known
        return self.queries


def scripted(events: Relay) -> Models:
    """Return the scripted models."""
    return Models(InstantPolicy(), LengthReward(), events)


def embedded(events: Relay) -> Models:
    """Return the scripted policy with the embedded reward, on one thread."""
    import torch

    torch.set_num_threads(1)
    reward: Reward = load_reward("tiny")
    return Models(InstantPolicy(), reward, events)


@dataclass
class Watch:
    """Listener: resident megabytes of the driver and of the workers at :data:`MARKS` of *total* queries."""

    total: int
    ended: int = 0
    marks: list[dict[str, Any]] = field(default_factory=list)
    first: float = 0.0

    def __call__(self, event: Event) -> None:
        """Count a query that ended."""
        if not isinstance(event, QueryEnded):
            return
        self.first = self.first or time.perf_counter()
        self.ended += 1
        if len(self.marks) < len(MARKS) and self.ended >= MARKS[len(self.marks)] * self.total:
            workers = list(_workers())
            cpu = sum(sum(each.cpu_times()[:2]) for each in workers)
            sizes = [each.memory_info().rss >> 20 for each in workers]
            driver = psutil.Process().memory_info().rss >> 20
            mark = {
                "ended": self.ended,
                "driver_mb": driver,
                "workers_mb": sizes,
                "workers_cpu": round(cpu, 1),
            }
            self.marks.append(mark | {"seconds": round(time.perf_counter() - self.first, 1)})


def _workers() -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.uids().real == os.getuid() and "ray::Map" in " ".join(process.cmdline()):
                yield process


async def _plan(data: RunInput, out: Path, load: Any, **options: Any) -> RunPlan:
    given = {"policy": "http://127.0.0.1", "model": "none", "reward": "tiny", "sample_size": 2, "out": out}
    settings = load_settings(given | {"max_iterations": 1} | options, {})
    return await RunPlan.resolve(settings, data, load=load, weights={})


async def alone(count: int, folder: Path) -> dict[str, Any]:
    """Run *count* queries in this process."""
    plan = await _plan(Questions(count), folder / "alone", scripted)
    models = scripted(Relay())
    cpu, started = time.process_time(), time.perf_counter()
    await plan.run(models)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return _speed(count, seconds, cpu)


async def on_ray(
    count: int, folder: Path, load: Any, workers: int, **options: Any
) -> tuple[Watch, Summary, float]:
    """Run *count* queries on *workers* workers; the seconds count from the first query that ended."""
    plan = await _plan(Questions(count), folder, load, ray="auto", workers=str(workers), **options)
    watch = Watch(count)
    async with plan.opened(no_models()) as opened:
        summary = await execute_on_ray(opened, watch)
    return watch, summary, time.perf_counter() - watch.first


async def large(count: int, folder: Path) -> dict[str, Any]:
    """Measure a run of *count* queries on one worker, and how long it takes to find it finished."""
    started = time.perf_counter()
    watch, summary, _ = await on_ray(count, folder / "ray", scripted, 1)
    whole = time.perf_counter() - started
    plan = await _plan(Questions(count), folder / "ray", scripted, ray="auto")
    started = time.perf_counter()
    complete = plan.is_complete()
    async with plan.opened(no_models()) as opened:
        again = await execute_on_ray(opened)
    return {
        "queries": summary.finished,
        "with_start_seconds": round(whole, 1),
        **_speed(
            *(watch.marks[-1][key] - watch.marks[0][key] for key in ("ended", "seconds", "workers_cpu"))
        ),
        "memory": watch.marks,
        "resume_seconds": round(time.perf_counter() - started, 1),
        "resumed_complete": complete and again.finished == count,
    }


async def rewards(count: int, folder: Path) -> dict[str, Any]:
    """Measure scores per second of the embedded reward in one worker and in two."""
    found: dict[str, Any] = {}
    for workers in (1, 2):
        where = folder / f"reward-{workers}"
        _, summary, seconds = await on_ray(count, where, embedded, workers, block_size=32)
        found[f"scores_per_second_{workers}"] = round(summary.reward_usage.calls / seconds, 1)
    found["ratio"] = round(found["scores_per_second_2"] / found["scores_per_second_1"], 2)
    return found


def _speed(count: int, seconds: float, cpu: float) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "queries_per_second": round(count / seconds, 1),
        "queries_per_cpu_second": round(count / cpu, 1),
    }


async def measure(count: int, scored: int) -> dict[str, Any]:
    """Measure all."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        few = max(count // 5, 1)
        found: dict[str, Any] = {"one_process": {"queries": few} | await alone(few, folder)}
        found["ray_one_worker"] = await large(count, folder)
        if scored:
            found["embedded_reward"] = {"queries": scored} | await rewards(scored, folder)
    return found


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--rewards", type=int, default=1000)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    write_result("ray_run", asyncio.run(measure(given.queries, given.rewards)), "ray", "torch")


if __name__ == "__main__":
    main()
