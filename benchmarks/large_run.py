"""Memory and time of merge, report, export, live view and resume over a large run of short queries.

    python -m benchmarks.large_run [--sizes 10000,100000]

Each size is a run in 8 shards of trajectories of D1-N2 with replies of WORDS words, made by the loop itself
with scripted models; DISTINCT trajectories are repeated under other ids. Each command runs in a process of
its own; ``peak_mb`` is its peak resident size, of which ``start_mb`` are imports. The files lie on a disk.
The result goes to ``benchmarks/results/large_run.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.record import write_result

from tpo.api import load_run
from tpo.export import EXPORTERS, read_in_order
from tpo.methods.catalog import build_method
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved
from tpo.report import ReportOptions, write_report
from tpo.rewards.scripted import ScriptedReward
from tpo.runs.runner import run_queries
from tpo.runs.shards import Shard
from tpo.runs.summary import Summary
from tpo.scale.merge import merge_shards
from tpo.store import RunDirectory, RunRecord, is_complete, read_run
from tpo.store.runfile import write_run
from tpo.store.trajectory_line import encode_trajectory
from tpo.types import Query, Trajectory, user
from tpo.view.live_run import LiveRun
from tpo.view.status import run_status

SHARDS = 8
DISTINCT = 500
WORDS = 20
METHOD = build_method("tpo", sample_size=2, max_iterations=1)
FINGERPRINT = {"method.max_iterations": 1, "seed": 7, "policy": "scripted", "reward": "scripted"}


def _say(call: PolicyCall, index: int) -> str:
    words = f"{call.scope.query} {call.scope.step} {index} " + "word " * WORDS
    return improved(words) if call.scope.phase == "update" else words


async def _distinct() -> list[Trajectory]:
    optimizer = Optimizer(ScriptedPolicy(_say), ScriptedReward(lambda text: hash(text) % 1000 / 100), METHOD)
    return [await optimizer.optimize(_query(number)) for number in range(DISTINCT)]


def _query(number: int) -> Query:
    return Query(f"q{number}", (user(f"Question {number}: what is its square?"),), position=number)


def make(folder: Path, count: int) -> Path:
    """Return the directory of a run of *count* queries in shards."""
    out, made = folder / "run", asyncio.run(_distinct())
    paths = [out / "shards" / Shard(SHARDS, number).directory for number in range(1, SHARDS + 1)]
    totals = [0] * SHARDS
    with ExitStack() as stack:
        files = []
        for path in paths:
            path.mkdir(parents=True)
            files.append(stack.enter_context((path / "trajectories.jsonl").open("wb")))
        for number in range(count):
            query = _query(number)
            shard = next(n for n in range(SHARDS) if Shard(SHARDS, n + 1).holds(query.id))
            files[shard].write(encode_trajectory(replace(made[number % DISTINCT], query=query)))
            totals[shard] += 1
    for path, total in zip(paths, totals, strict=True):
        record = RunRecord({"queries": total}, FINGERPRINT).begin(1.0)
        write_run(path, record.end(2.0, {"finished": total, "failed": 0}, interrupted=False))
    return out


def _merge(run: Path) -> None:
    merge_shards(run)


def _report(run: Path) -> None:
    write_report([run], run / "report.html", ReportOptions(figures=None))


def _view(run: Path) -> None:
    """Read the run as the live view does when it opens."""
    followed = LiveRun(run, run.name, 0)
    while followed.refresh()[1]:
        pass
    run_status(followed)


def _export(shape: str, run: Path) -> None:
    EXPORTERS[shape](read_in_order(run), run / f"{shape}.jsonl")


def _resume(count: int, run: Path) -> None:
    """Start the finished run again: it is found complete, opened, summed up and closed."""
    fingerprint = read_run(run).fingerprint
    complete = is_complete(run, fingerprint, map(_query, range(count)))
    if not complete or asyncio.run(_run_again(count, run, fingerprint)).finished != count:
        raise RuntimeError("the run is not complete")


async def _run_again(count: int, run: Path, fingerprint: Mapping[str, Any]) -> Summary:
    async with RunDirectory.open(run, configuration={}, fingerprint=fingerprint) as directory:
        policy, reward = ScriptedPolicy(), ScriptedReward()
        return await run_queries(map(_query, range(count)), policy, reward, METHOD, directory)


def _summary(run: Path) -> None:
    _ = load_run(run).summary


READERS: Mapping[str, Callable[[Path], None]] = {
    "export results": partial(_export, "results"),
    "export dpo": partial(_export, "dpo"),
    "report": _report,
    "live view": _view,
}


def apart(work: Callable[[Path], None], run: Path) -> dict[str, Any]:
    """Return seconds and peak memory of *work* over *run*, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (work, run))


def _measured(work: Callable[[Path], None], run: Path) -> dict[str, Any]:
    before, started = _peak(), time.perf_counter()
    work(run)
    return {"seconds": round(time.perf_counter() - started, 1), "start_mb": before, "peak_mb": _peak()}


def _peak() -> int:
    """Return the peak resident size in MB; that of ``getrusage`` begins with the size of the parent."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def measure(count: int) -> dict[str, Any]:
    """Measure every command over *count* queries, each in a fresh process."""
    works: dict[str, Callable[[Path], None]] = {
        "summary of unmerged shards": _summary,
        "merge": _merge,
        "first resume, which reads every trajectory": partial(_resume, count),
        "resume of the finished run": partial(_resume, count),
        **READERS,
    }
    folder = Path(tempfile.mkdtemp(dir="."))
    try:
        run = make(folder, count)
        size = sum(file.stat().st_size for file in run.glob("shards/*/trajectories.jsonl"))
        found: dict[str, Any] = {"queries": count, "trajectories_mb": size >> 20}
        found |= {name: apart(work, run) for name, work in works.items()}
        found["report"]["page_mb"] = (run / "report.html").stat().st_size >> 20
        return found
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="10000,100000")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    write_result("large_run", {"runs": [measure(size) for size in sizes]})


if __name__ == "__main__":
    main()
