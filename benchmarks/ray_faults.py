"""A run on a two-node Ray cluster in which a worker, a node and the driver die, against one process.

    PYTHONPATH=. python -m benchmarks.ray_faults [--queries 2000]

Runs in an environment with Ray (``make ray`` makes one, .venv-ray). A worker is killed with SIGKILL after a
sixth of the answers, a node is removed after two, the driver is killed after three and started again. The
server counts samples: ``repeated`` were in flight when something died, ``missing`` ones the run did without.
The result goes to ``benchmarks/results/ray_faults.json``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.record import write_result
from tests.scale.cluster_run import CONCURRENCY, survive, two_nodes
from tests.scale.paced_server import PacedServer


def main() -> None:
    """Run it, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=2000)
    queries = parser.parse_args().queries
    with tempfile.TemporaryDirectory() as folder, PacedServer() as server, two_nodes() as cluster:
        started = time.perf_counter()
        survived = survive(cluster, server, Path(folder), queries)
        seconds = round(time.perf_counter() - started, 1)
    shape = {"queries": queries, "concurrency_per_worker": CONCURRENCY, "seconds": seconds}
    write_result("ray_faults", shape | asdict(survived), "ray")


if __name__ == "__main__":
    main()
