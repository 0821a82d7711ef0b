"""Runs on a Ray cluster of two nodes on this machine: the same run as of one process, whatever dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scale.cluster_run import CONCURRENCY, Survived, driver, options, survive, two_nodes
from tests.scale.paced_server import PacedServer
from tests.scale.sharded import data_file

pytestmark = pytest.mark.ray

QUERIES = 300
SAMPLES = 6
"""Samples of D1-N2 per query: two first samples, a loss, a gradient and two updates."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as running:
        yield running


@pytest.fixture
def server() -> Iterator[PacedServer]:
    with PacedServer() as running:
        yield running


def test_a_run_survives_worker_node_and_driver(cluster: Any, server: PacedServer, tmp_path: Path) -> None:
    survived = survive(cluster, server, tmp_path, QUERIES)
    # At most the calls in flight, of two samples each: of a worker, a node's, and both of the driver.
    assert survived.repeated <= 4 * 2 * CONCURRENCY
    needed = QUERIES * SAMPLES
    assert survived == Survived(equal=True, needed=needed, missing=0, repeated=survived.repeated, left=[])


def test_a_finished_run_makes_no_call(cluster: Any, server: PacedServer, tmp_path: Path) -> None:
    data, out = data_file(tmp_path, 20), tmp_path / "run"
    for _ in range(2):
        with driver(cluster, server, data, out) as process:
            said, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        assert "20 queries finished" in said
    assert sum(server.samples.values()) == 20 * SAMPLES


def test_failed_queries_are_run_again_whatever_the_size_of_blocks(
    cluster: Any, server: PacedServer, tmp_path: Path
) -> None:
    data, out = data_file(tmp_path, 20), tmp_path / "run"
    server.broken = "prompt 3"
    with driver(cluster, server, data, out, block_size=8) as process:
        said, errors = process.communicate(timeout=600)
    assert process.returncode == 1, errors
    assert "19 queries finished, 1 failed" in said
    assert len(list((out / "shards").iterdir())) == 1
    server.broken = ""
    with driver(cluster, server, data, out, block_size=5) as process:
        said, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert sum(server.samples.values()) == 20 * SAMPLES
    assert not (out / "shards").exists()


def test_a_fatal_error_of_a_worker_ends_the_run(cluster: Any, server: PacedServer, tmp_path: Path) -> None:
    data = data_file(tmp_path, 20)
    server.refused = True
    with driver(cluster, server, data, tmp_path / "run") as process:
        _, errors = process.communicate(timeout=600)
    assert process.returncode == 2
    assert "asks for an API key: set TPO_API_KEY" in errors
    assert "Traceback" not in errors


def test_a_pipeline_filters_pairs_by_margin(cluster: Any, server: PacedServer, tmp_path: Path) -> None:
    import ray
    import ray.data

    from tpo.ray import Optimize

    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        rows = [{"prompt": f"prompt {number}"} for number in range(12)]
        pairs = ray.data.from_items(rows).map_batches(
            Optimize,
            fn_constructor_kwargs=options(server)
            | {"rows": "dpo", "sample_size": 2, "max_iterations": 1, "journals": str(tmp_path / "journals")},
            batch_size=6,
            num_cpus=0.5,
            compute=ray.data.ActorPoolStrategy(size=1),
        )
        every = pairs.take_all()
        least = sorted(row["margin"] for row in every)[6]
        pairs.filter(lambda row: row["margin"] >= least).write_parquet(str(tmp_path / "pairs"))
        kept = ray.data.read_parquet(str(tmp_path / "pairs")).take_all()
    finally:
        ray.shutdown()
    assert len(every) == 12
    assert {row["query_id"] for row in kept} == {row["query_id"] for row in every if row["margin"] >= least}
    assert 0 < len(kept) < 12
    assert sum(server.samples.values()) == 12 * SAMPLES  # the second pass finds the journals
