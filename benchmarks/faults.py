"""Run queries through a proxy that spoils a quarter of the replies in 24 ways, and without it.

    python -m benchmarks.faults [--queries 150] [--share 0.25] [--latency 1.0] [--timeout 5.0]

Each reply takes *latency* seconds, give or take a half; one that is held comes after the timeout.
All else is at its default: retries, waits, the adaptive limit. The faultless run goes through the same proxy.
Besides the times it prints what became of each query, how many stand twice in the record, and the faults.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from aiohttp import web
from benchmarks.record import write_result
from tests.fault_proxy import ALL_FAULTS, FaultProxy
from tests.openai_server import OpenAIServer

from tpo.methods.catalog import tpo
from tpo.policies import OpenAIPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.runs import fingerprint, run_queries
from tpo.store import RunDirectory
from tpo.types import Query, user

METHOD = tpo(sample_size=3, max_iterations=1)
SPARED = 20


class SlowServer(OpenAIServer):
    """Answers after *latency* seconds, give or take a half."""

    def __init__(self, latency: float) -> None:
        super().__init__()
        self._latency = latency
        self._luck = random.Random(0)  # noqa: S311 - a latency

    async def _complete(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self._latency * self._luck.uniform(0.5, 1.5))
        return await super()._complete(request)


async def carried_out(url: str, path: Path, queries: int, timeout: float) -> dict[str, Any]:  # noqa: ASYNC109 - the client's
    """Run all queries, and count what stands in the record."""
    shape = fingerprint(METHOD, seed=7, data=None, policy="scripted", reward="length")
    policy = OpenAIPolicy(url, "scripted", timeout=timeout)
    asked = (Query(f"q{n}", (user(f"question {n}"),)) for n in range(queries))
    started = time.perf_counter()
    async with RunDirectory.open(path, configuration={}, fingerprint=shape) as directory:
        try:
            summary = await run_queries(asked, policy, ScriptedReward(len), METHOD, directory, concurrency=64)
        finally:
            await policy.aclose()
    seconds = time.perf_counter() - started
    records = [json.loads(line) for line in (path / "trajectories.jsonl").read_text("utf-8").splitlines()]
    times = Counter(record["query"]["id"] for record in records)
    short = sum(len(record["candidates"]) != METHOD.sample_size * 2 for record in records)
    return {
        "seconds": round(seconds, 2),
        "finished": summary.finished,
        "failed": summary.failed,
        "lost": queries - len(times),
        "doubled": sum(count > 1 for count in times.values()),
        "incomplete": short,
    }


def measured(share: float, queries: int, latency: float, timeout: float, seed: int) -> dict[str, Any]:
    """Return what a run came to with this share of faults."""
    with (
        tempfile.TemporaryDirectory() as folder,
        SlowServer(latency) as server,
        FaultProxy(
            server.root, share=share, faults=ALL_FAULTS, seed=seed, held=timeout * 1.5, spared=SPARED
        ) as proxy,
    ):
        result = asyncio.run(carried_out(proxy.url, Path(folder), queries, timeout))
        return result | {"requests": proxy.sent, "replies": dict(sorted(proxy.counts.items()))}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Cost of faults.")
    parser.add_argument("--queries", type=int, default=150)
    parser.add_argument("--share", type=float, default=0.25)
    parser.add_argument("--latency", type=float, default=1.0)
    parser.add_argument("--timeout", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    shape = given.queries, given.latency, given.timeout, given.seed
    sound, spoiled = measured(0.0, *shape), measured(given.share, *shape)
    ratio = round(spoiled["seconds"] / sound["seconds"], 2)
    result = {"options": vars(given), "faultless": sound, "faults": spoiled, "time ratio": ratio}
    write_result("faults", result)


if __name__ == "__main__":
    main()
