"""What this package itself costs at many calls in flight: CPU a call, memory over a long data set.

    python -m benchmarks.client_cost [--queries 600] [--memory-queries 10000]

A loopback server in a process of its own keeps each call for a moment and answers with as many choices as
asked. In front of it stands all that a run has: the runner, the journal, the limit, the HTTP policy. CPU is
that of this process with all its threads; a call is a request to the policy, so that scoring, hashing and
writing what it brings is part of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from aiohttp import web
from benchmarks.record import write_result

from tpo.method.recipes import build_recipe
from tpo.policies.limit import Limited
from tpo.policies.openai import OpenAIPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.run import fingerprint, run
from tpo.store import RunDirectory
from tpo.types import Query, user

IN_FLIGHT = 1000
HOLD = 0.5
"""Seconds that the server keeps a call, so that so many really are in flight."""
WORDS = 100
QUESTION = "word " * 60
MEMORY = next((p for p in ("/dev/shm",) if Path(p).is_dir()), None)  # noqa: S108 - for folders of random names


def serve(port: Connection) -> None:
    """Answer each call with its ``n`` choices; tell the port."""
    text = f"<improved_response>{'word ' * WORDS}</improved_response>"
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 400, "completion_tokens": 500}
    bodies = {
        n: json.dumps({"choices": [choice | {"index": i} for i in range(n)], "usage": usage}).encode()
        for n in (1, 5)
    }

    async def answer(request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        await asyncio.sleep(HOLD)
        return web.Response(body=bodies[asked.get("n", 1)], content_type="application/json")

    async def main() -> None:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
        await site.start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


def questions(count: int) -> Iterator[Query]:
    """A stream of so many queries."""
    for number in range(count):
        yield Query(f"q{number}", (user(f"{number} {QUESTION}"),))


async def measure(url: str, count: int, concurrency: int) -> dict[str, Any]:
    """Run *count* queries through the whole package; CPU and wall milliseconds a call."""
    recipe = build_recipe("tpo")
    policy = Limited(OpenAIPolicy(url, "m"), concurrency)
    reward = ScriptedReward(lambda text: float(len(text)))
    reward.calls = Forgetful()  # a scripted reward remembers its calls, for tests
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        shape = fingerprint(recipe, seed=7, data=None)
        async with RunDirectory.open(Path(folder), configuration={}, fingerprint=shape) as directory:
            cpu, wall = time.process_time(), time.perf_counter()
            summary = await run(questions(count), policy, reward, recipe, directory, concurrency=concurrency)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await policy.aclose()
    calls = sum(usage.calls for usage in summary.usage.values())
    return {
        "queries": count,
        "in_flight": concurrency,
        "calls": calls,
        "failed": summary.failed,
        "cpu_ms_per_call": round(cpu / calls * 1e3, 3),
        "wall_ms_per_call": round(wall / calls * 1e3, 3),
        "peak_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


class Forgetful(list[Any]):
    """A list that keeps nothing."""

    def append(self, item: object) -> None:
        """Forget *item*."""


def in_a_process(url: str, count: int, concurrency: int) -> dict[str, Any]:
    """The same in a fresh process, so that its peak of memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (url, count, concurrency))


def _measure(url: str, count: int, concurrency: int) -> dict[str, Any]:
    return asyncio.run(measure(url, count, concurrency))


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--memory-queries", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    mine, its = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(its,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{mine.recv()}/v1"
    rounds = [in_a_process(url, options.queries, IN_FLIGHT) for _ in range(options.rounds)]
    long = {} if not options.memory_queries else in_a_process(url, options.memory_queries, 256)
    server.terminate()
    rounds.sort(key=lambda it: it["cpu_ms_per_call"])
    setup = {"server_holds_s": HOLD, "words_a_reply": WORDS}
    result = {"setup": setup, "rounds": rounds, "median": rounds[len(rounds) // 2], "long_data_set": long}
    write_result("client_cost", result, "aiohttp")


if __name__ == "__main__":
    main()
