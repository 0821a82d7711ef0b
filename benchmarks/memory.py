"""What a run holds in memory, however long its data: peak resident size, with a policy that answers at once.

    python -m benchmarks.memory [--sizes 1000,10000] [--in-flight 256]

Queries are read as a stream and trajectories written as one; each size is measured in a process of its own.
The run's directory lies on a disk, not in memory. What is left to grow is what each query's id takes.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.client_cost import questions
from benchmarks.instant import InstantPolicy, LengthReward
from benchmarks.record import write_result

from tpo.methods.catalog import build_method
from tpo.runs import fingerprint, run_queries
from tpo.store import RunDirectory

WORDS = 300


async def measure(count: int, in_flight: int) -> dict[str, Any]:
    """Run *count* queries; peak resident megabytes of this process, before and after."""
    recipe, before = build_method("tpo"), resident()
    with tempfile.TemporaryDirectory() as folder:
        shape = fingerprint(recipe, seed=7, data=None)
        async with RunDirectory.open(Path(folder), configuration={}, fingerprint=shape) as directory:
            cpu = time.process_time()
            summary = await run_queries(
                questions(count),
                InstantPolicy(WORDS, 400),
                LengthReward(),
                recipe,
                directory,
                concurrency=in_flight,
            )
            cpu = time.process_time() - cpu
        written = (Path(folder) / "trajectories.jsonl").stat().st_size
    return {
        "queries": count,
        "in_flight": in_flight,
        "finished": summary.finished,
        "resident_before_mb": before,
        "peak_resident_mb": resident(),
        "written_mb": written >> 20,
        "cpu_ms_a_query": round(cpu / count * 1e3, 2),
    }


def resident() -> int:
    """The most that this process has held so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _measure(count: int, in_flight: int) -> dict[str, Any]:
    return asyncio.run(measure(count, in_flight))


def main() -> None:
    """Measure, and write the result after each size, since the last ones take minutes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="1000,10000")
    parser.add_argument("--in-flight", type=int, default=256)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for size in map(int, options.sizes.split(",")):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(_measure, (size, options.in_flight)))
        write_result("memory", {"words_a_reply": WORDS, "rows": rows})


if __name__ == "__main__":
    main()
