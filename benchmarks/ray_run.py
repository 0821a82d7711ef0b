"""A large run on Ray: memory, throughput per worker against one process, and the time to resume it.

    PYTHONPATH=. python -m benchmarks.ray_run [--queries 100000]

Runs in an environment with Ray (``make ray`` makes one, .venv-ray). Queries of D1-N2 are answered at once by
a scripted engine, in 20 words, so that all time is that of this package and of Ray. Throughput is given by
wall clock and by CPU time of the process that runs the queries, since the machine may be shared; on Ray
between 10 and 99 % of the queries. Workers have the priority of the driver; Ray's default is lower. Then the
finished run is resumed and read, each in a process of its own; ``peak_mb`` is its peak resident size, of
which ``start_mb`` are imports. The result goes to ``benchmarks/results/ray_run.json``.
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
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from benchmarks.instant import InstantPolicy, LengthReward
from benchmarks.large_run import READERS, apart
from benchmarks.record import write_result

from tpo.config import load_settings
from tpo.events import Event, QueryEnded
from tpo.runs.inputs import KnownIds, RunInput
from tpo.runs.models import Models, Relay, no_models
from tpo.runs.plan import RunPlan
from tpo.runs.summary import Summary
from tpo.scale.driver import execute_on_ray
from tpo.types import Query, user

MARKS = (0.1, 0.5, 0.99, 1.0)
"""Shares of the queries at which memory is read; at the last one, workers may be gone."""


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


@dataclass
class Watch:
    """Listener: memory and CPU time of the driver and of the workers at *shares* of *total* queries."""

    total: int
    shares: tuple[float, ...] = MARKS
    ended: int = 0
    marks: list[dict[str, Any]] = field(default_factory=list)
    first: float = 0.0

    def __call__(self, event: Event) -> None:
        """Count a query that ended."""
        if not isinstance(event, QueryEnded):
            return
        self.first = self.first or time.perf_counter()
        self.ended += 1
        if len(self.marks) < len(self.shares) and self.ended >= self.shares[len(self.marks)] * self.total:
            workers, driver = list(_workers()), psutil.Process()
            mark = {
                "ended": self.ended,
                "driver_mb": driver.memory_info().rss >> 20,
                "workers_mb": [each.memory_info().rss >> 20 for each in workers],
                "driver_cpu": round(_cpu(driver), 2),
                "workers_cpu": round(sum(map(_cpu, workers)), 2),
            }
            self.marks.append(mark | {"seconds": round(time.perf_counter() - self.first, 2)})


def _cpu(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:2]))


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


async def on_ray(watch: Watch, folder: Path, load: Any, workers: int, **options: Any) -> Summary:
    """Run the queries of *watch* on *workers* workers."""
    plan = await _plan(Questions(watch.total), folder, load, ray="auto", workers=str(workers), **options)
    async with plan.opened(no_models()) as opened:
        return await execute_on_ray(opened, watch)


async def large(count: int, folder: Path) -> dict[str, Any]:
    """Measure a run of *count* queries on one worker, and how long it takes to find it finished."""
    started = time.perf_counter()
    watch = Watch(count)
    summary = await on_ray(watch, folder / "ray", scripted, 1)
    whole = time.perf_counter() - started
    first, last = watch.marks[0], watch.marks[-2]
    return {
        "queries": summary.finished,
        "with_start_seconds": round(whole, 1),
        **_speed(*(last[key] - first[key] for key in ("ended", "seconds", "workers_cpu"))),
        "memory": watch.marks,
        "resume": apart(partial(_resume, count), folder / "ray"),
        **{name: apart(work, folder / "ray") for name, work in READERS.items()},
    }


def _resume(count: int, run: Path) -> None:
    """Start the finished run again: it is found complete, opened, summed up and closed."""

    async def again() -> bool:
        plan = await _plan(Questions(count), run, scripted, ray="auto")
        complete = plan.is_complete()
        async with plan.opened(no_models()) as opened:
            return complete and (await execute_on_ray(opened)).finished == count

    if not asyncio.run(again()):
        raise RuntimeError("the run is not complete")


def _speed(count: int, seconds: float, cpu: float) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "queries_per_second": round(count / seconds, 1),
        "queries_per_cpu_second": round(count / cpu, 1),
    }


async def measure(count: int) -> dict[str, Any]:
    """Measure all."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        few = max(count // 5, 1)
        found: dict[str, Any] = {"one_process": {"queries": few} | await alone(few, folder)}
        found["ray_one_worker"] = await large(count, folder)
    speeds = ("queries_per_second", "queries_per_cpu_second")
    one, worker = found["one_process"], found["ray_one_worker"]
    return found | {"ratio": {name: round(worker[name] / one[name], 2) for name in speeds}}


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=100_000)
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - the name that Ray reads
    write_result("ray_run", asyncio.run(measure(parser.parse_args().queries)), "ray")


if __name__ == "__main__":
    main()
