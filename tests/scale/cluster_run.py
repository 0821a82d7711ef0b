"""A run on a Ray cluster of two nodes, in which a worker, a node and the driver die."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.runs.models import by_id
from tests.scale.paced_server import PacedServer
from tests.scale.sharded import data_file, planned
from tpo.store import read_trajectories
from tpo.store.lock import NAME as LOCK

ROOT = Path(__file__).parents[2]
CONCURRENCY = 16
BLOCK = 40
STORE_BYTES = 100 << 20
"""Memory of a node's object store, which a loaded machine cannot reserve gigabytes of in time."""
REWARD = "python:tests.scale.functions:value"


@contextlib.contextmanager
def two_nodes() -> Iterator[Any]:
    """A head and another node, on which drivers and workers import the tests."""
    os.environ |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "RAY_worker_niceness": "0",
    }
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": STORE_BYTES}
    running = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    running.second = running.add_node(wait=False, **node)
    running.wait_for_nodes(timeout=300)
    try:
        yield running
    finally:
        running.shutdown()


def options(server: PacedServer) -> dict[str, Any]:
    """The options of every run here."""
    return {
        "policy": server.url,
        "model": "scripted",
        "reward": REWARD,
        "concurrency": CONCURRENCY,
        "retry_timeout": 20.0,
    }


@contextlib.contextmanager
def driver(
    cluster: Any, server: PacedServer, data: Path | str, out: Path, **more: Any
) -> Iterator[subprocess.Popen[str]]:
    """The command, in a process of its own."""
    given = options(server) | {"sample_size": 2, "max_iterations": 1, "out": out, "block_size": BLOCK}
    given |= {"ray": cluster.address, "workers": "1:2"} | more
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    command = [sys.executable, "-m", "tests.scale.command", "run", str(data), *flags]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT) as process:
        try:
            yield process
        except AssertionError as failed:
            process.kill()
            failed.add_note(process.communicate()[1])
            raise
        finally:
            process.kill()


def alone(server: PacedServer, data: Path, out: Path) -> dict[str, Any]:
    """The trajectories of a run in this process."""

    async def whole() -> None:
        plan = await planned(data, out, **options(server))
        await plan.run(plan.load_models())

    asyncio.run(whole())
    return by_id(read_trajectories(out))


@dataclass(frozen=True, slots=True)
class Survived:
    """A run after everything died: is it that of one process, and samples by the server's count."""

    equal: bool
    needed: int
    missing: int
    repeated: int
    left: list[str]
    """Block directories that are still there."""


def survive(cluster: Any, server: PacedServer, folder: Path, queries: int) -> Survived:
    """Kill a worker, remove a node, kill the driver, each at a number of answers; start the command again."""
    data, out = data_file(folder, queries), folder / "run"
    requests = 4 * queries
    with driver(cluster, server, data, out) as process:
        server.wait(requests // 6, process)
        os.kill(_worker_of(out, process), signal.SIGKILL)
        server.wait(requests * 2 // 6, process)
        cluster.remove_node(cluster.second, allow_graceful=False)
        server.wait(requests * 3 // 6, process)
        process.kill()
        process.wait()
    with driver(cluster, server, data, out) as process:
        said, errors = process.communicate(timeout=3600)
    assert process.returncode == 0, errors
    assert f"{queries:,} queries finished" in said
    asked = server.samples.copy()
    equal = by_id(read_trajectories(out)) == alone(server, data, folder / "alone")
    needed = server.samples - asked
    shards = out / "shards"
    left = sorted(path.name for path in shards.iterdir()) if shards.exists() else []
    missing, repeated = (needed - asked).total(), (asked - needed).total()
    return Survived(equal, needed.total(), missing, repeated, left)


def _worker_of(out: Path, running: subprocess.Popen[str]) -> int:
    """Return the process that works in a block, as soon as one does: workers pause between two blocks."""
    while running.poll() is None:
        for lock in out.glob(f"shards/*/{LOCK}"):
            with contextlib.suppress(OSError, ValueError):  # the block has just ended
                process = int(lock.read_text())
                if Path(f"/proc/{process}").exists():
                    return process
        time.sleep(0.01)
    raise AssertionError("the driver has ended")
