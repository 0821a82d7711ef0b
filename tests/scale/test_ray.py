"""Runs on a Ray cluster of two nodes on this machine: the same run as of one process, whatever dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runs.models import by_id
from tests.scale.paced_server import PacedServer
from tests.scale.sharded import data_file, planned
from tpo.store import read_trajectories
from tpo.store.lock import NAME as LOCK

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[2]
QUERIES = 300
NEEDED = QUERIES * 6
"""Samples of D1-N2: two first samples, a loss, a gradient and two updates."""
CONCURRENCY = 16
BLOCK = 40
REWARD = "python:tests.scale.functions:value"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and another node, on which drivers and workers import the tests."""
    os.environ |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "node_ip_address": "127.0.0.1"}
    running = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    running.second = running.add_node(**node)
    yield running
    running.shutdown()


@pytest.fixture
def server() -> Iterator[PacedServer]:
    with PacedServer() as running:
        yield running


def options(server: PacedServer) -> dict[str, Any]:
    return {
        "policy": server.url,
        "model": "scripted",
        "reward": REWARD,
        "concurrency": CONCURRENCY,
        "retry_timeout": 20.0,
    }


@contextlib.contextmanager
def driver(
    cluster: Any, server: PacedServer, data: Path, out: Path, **more: Any
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
        finally:
            process.kill()


def alone(server: PacedServer, data: Path, out: Path) -> dict[str, Any]:
    """The trajectories of a run in this process."""

    async def whole() -> None:
        plan = await planned(data, out, **options(server))
        await plan.run(plan.load_models())

    asyncio.run(whole())
    return by_id(read_trajectories(out))


def worker_of(out: Path) -> int:
    """The process that works in a block."""
    locks = [path for path in out.glob(f"shards/*/{LOCK}") if path.read_text().strip()]
    running = [int(path.read_text()) for path in locks]
    return next(pid for pid in running if Path(f"/proc/{pid}").exists())


def test_a_run_survives_worker_node_and_driver(cluster: Any, server: PacedServer, tmp_path: Path) -> None:
    data, out = data_file(tmp_path, QUERIES), tmp_path / "run"
    with driver(cluster, server, data, out) as process:
        server.wait(200)
        os.kill(worker_of(out), signal.SIGKILL)
        server.wait(450)
        cluster.remove_node(cluster.second, allow_graceful=False)
        server.wait(700)
        process.kill()
        process.wait()
    with driver(cluster, server, data, out) as process:
        said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert f"{QUERIES} queries finished" in said
    asked = server.samples.copy()
    assert by_id(read_trajectories(out)) == alone(server, data, tmp_path / "alone")
    needed = server.samples - asked
    assert sum(needed.values()) == NEEDED
    assert not needed - asked
    # At most the calls in flight, of two samples each: of a worker, a node's, and both of the driver.
    assert sum((asked - needed).values()) <= 4 * 2 * CONCURRENCY
    assert not (out / "shards").exists()


def test_a_finished_run_makes_no_call(cluster: Any, server: PacedServer, tmp_path: Path) -> None:
    data, out = data_file(tmp_path, 20), tmp_path / "run"
    for _ in range(2):
        with driver(cluster, server, data, out) as process:
            said, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert "20 queries finished" in said
    assert sum(server.samples.values()) == 20 * 6


def test_failed_queries_are_run_again_whatever_the_size_of_blocks(
    cluster: Any, server: PacedServer, tmp_path: Path
) -> None:
    data, out = data_file(tmp_path, 20), tmp_path / "run"
    server.broken = "prompt 3"
    with driver(cluster, server, data, out, block_size=8) as process:
        said, errors = process.communicate(timeout=120)
    assert process.returncode == 1, errors
    assert "19 queries finished, 1 failed" in said
    assert len(list((out / "shards").iterdir())) == 1
    server.broken = ""
    with driver(cluster, server, data, out, block_size=5) as process:
        said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert sum(server.samples.values()) == 20 * 6
    assert not (out / "shards").exists()


def test_a_fatal_error_of_a_worker_ends_the_run(cluster: Any, server: PacedServer, tmp_path: Path) -> None:
    data = data_file(tmp_path, 20)
    server.refused = True
    with driver(cluster, server, data, tmp_path / "run") as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "asks for an API key: set TPO_API_KEY" in errors
    assert "Traceback" not in errors
