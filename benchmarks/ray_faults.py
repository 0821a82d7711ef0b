"""A run on a two-node Ray cluster in which a worker, a node and the driver die, against one process.

    PYTHONPATH=. python -m benchmarks.ray_faults [--queries 2000]

Runs in an environment with Ray (``make ray`` makes one, .venv-ray). The model server is a simulated engine
(``benchmarks/simulation``) in real time: continuous batching, and replies of drawn lengths, :data:`SPEED`
times as fast as an 8B model on one H100. A worker is killed with SIGKILL after a sixth of the answers, a node
is removed after two, the driver is killed after three and started again. The server counts samples:
``repeated`` were in flight when something died, ``missing`` ones the run did without. The result goes to
``benchmarks/results/ray_faults.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.record import write_result
from benchmarks.simulation import SMALL, Lengths
from benchmarks.simulation.engine import Engine
from benchmarks.simulation.texts import mark, prompt_runs, text_runs
from tests.scale.cluster_run import CONCURRENCY, survive, two_nodes
from tests.scale.paced_server import PacedServer

from tpo.types import Scope

SPEED = 20.0
TIMES = ("weights", "context", "token", "host", "host_sequence")
LENGTHS = Lengths()


def reply(body: dict[str, Any], index: int) -> str:
    """Return a text that stands for a drawn number of tokens; both follow from the request alone."""
    asked = json.dumps([body["messages"], body["seed"] + index])
    name, told = hashlib.sha256(asked.encode()).hexdigest()[:12], str(body["messages"][-1]["content"])
    update = "<improved_response>" in told
    phase = "update" if update else "loss" if len(body["messages"]) == 1 and len(told) > 200 else "sample"
    text = mark(name, LENGTHS.of_reply(Scope(name, 0, phase), body["seed"] + index))
    return f"<improved_response>{text}</improved_response>" if update else text


class SimulatedServer(PacedServer):
    """A model server in front of a simulated engine."""

    def __init__(self) -> None:
        super().__init__(reply)
        self.engine = Engine(
            replace(SMALL, sequences=64, **{name: getattr(SMALL, name) / SPEED for name in TIMES})
        )

    async def work(self, body: dict[str, Any]) -> None:
        """Return when the engine has written all samples of *body*."""
        prompt = prompt_runs(body["messages"])
        texts = [reply(body, index) for index in range(body.get("n") or 1)]
        await asyncio.gather(*(self.engine.submit(prompt, list(text_runs(text))) for text in texts))


def main() -> None:
    """Run it, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=2000)
    queries = parser.parse_args().queries
    with tempfile.TemporaryDirectory() as folder, SimulatedServer() as server, two_nodes() as cluster:
        started = time.perf_counter()
        survived = survive(cluster, server, Path(folder), queries)
        seconds = round(time.perf_counter() - started, 1)
    engine = {"steps": server.engine.totals.steps, "written_tokens": server.engine.totals.written_tokens}
    shape = {"queries": queries, "concurrency_per_worker": CONCURRENCY, "seconds": seconds, "engine": engine}
    write_result("ray_faults", shape | asdict(survived), "ray")


if __name__ == "__main__":
    main()
