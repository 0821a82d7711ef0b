"""What scoring while siblings are still written saves, and which way to ask for N samples is best.

    python -m benchmarks.overlap                                              in simulation
    python -m benchmarks.overlap --url http://HOST:8000 [--calls 60]          and on a real server

In simulation, whole runs: samples that come one by one against samples that come together, and each with
rewards scored in batches and one after the other. On a server, the same calls of N samples, so many at a
time, asked for in three ways: seconds for all, tokens a second, this client's CPU a call, and how long a
sample is there before its slowest sibling.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from itertools import islice
from typing import Any
from uuid import uuid4

import aiohttp
from benchmarks.record import write_result
from benchmarks.simulation import LARGE, SMALL, Lengths, run_virtual
from benchmarks.simulation.models import Delivery
from benchmarks.simulation.schedules import Work, this_package
from benchmarks.ways import WAYS, Body, Drawn, Way

from tpo.data.load import load_queries
from tpo.http.address import base_address
from tpo.methods.catalog import build_method
from tpo.tiny import examples_path

HARDWARE = {"70B on four H100": LARGE, "8B on one H100": SMALL}
DELIVERIES: tuple[Delivery, ...] = ("each", "together")
BUDGETS = {"in batches": 16_384, "one after the other": 1}


def simulated(size: int) -> dict[str, Any]:
    """Makespans in seconds, by engine, delivery and how rewards are scored."""
    return {
        name: {
            f"samples come {delivery}, scored {how}": round(_makespan(size, name, delivery, budget), 2)
            for delivery in DELIVERIES
            for how, budget in BUDGETS.items()
        }
        for name in HARDWARE
    }


def _makespan(size: int, name: str, delivery: Delivery, budget: int) -> float:
    work = Work(size, Lengths(), build_method("tpo"), HARDWARE[name])
    return run_virtual(
        this_package(work, concurrency=256, sequences=256, delivery=delivery, reward_budget=budget)
    ).seconds


async def served(url: str, way: Way, bodies: Sequence[Body], n: int, in_flight: int) -> dict[str, float]:
    """All of *bodies* asked for in *way*, *in_flight* calls at a time."""
    address = base_address(url) + "/chat/completions"
    gate = asyncio.Semaphore(in_flight)
    connector, patience = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=patience) as session:

        async def ask(body: Body) -> Drawn:
            async with gate:
                return await way(session, address, body, n)

        wall, cpu = time.perf_counter(), time.process_time()
        calls = await asyncio.gather(*(ask(body) for body in bodies))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return row(calls, wall, cpu)


def row(calls: Sequence[Drawn], wall: float, cpu: float) -> dict[str, float]:
    """What is told of a way."""
    tokens = sum(call.tokens for call in calls)
    return {
        "seconds": round(wall, 2),
        "tokens": tokens,
        "tokens_a_second": round(tokens / wall, 1),
        "client_cpu_ms_a_call": round(cpu / len(calls) * 1e3, 2),
        "mean_call_s": round(sum(max(call.finished) for call in calls) / len(calls), 3),
        "mean_head_start_s": round(sum(call.head_start for call in calls) / len(calls), 3),
    }


def bodies(model: str, count: int, max_tokens: int) -> list[Body]:
    """So many calls with prompts of the shipped queries, each behind a salt of its own."""
    queries = list(load_queries(str(examples_path())))
    salt = uuid4().hex
    return [
        {
            "model": model,
            "messages": list(query.messages),
            "max_tokens": max_tokens,
            "temperature": 0.7,
            "top_p": 0.95,
            "seed": 1024 * number,
            "cache_salt": f"{salt}-{number}",
        }
        for number, query in enumerate(islice(queries * (count // len(queries) + 1), count))
    ]


async def every_way(options: argparse.Namespace) -> dict[str, Any]:
    """Each way, *rounds* times in turn, so that what else the machine does meets all alike."""
    n = build_method("tpo").sample_size
    found: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    first = bodies(options.model, options.in_flight, options.max_tokens)
    await served(options.url, WAYS["one request with n"], first, n, options.in_flight)  # warms up
    for _ in range(options.rounds):
        for name, way in WAYS.items():
            asked = bodies(options.model, options.calls, options.max_tokens)
            found[name].append(await served(options.url, way, asked, n, options.in_flight))
    return {"calls": options.calls, "in_flight": options.in_flight, "samples": n, "rounds": found}


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--url")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    return parser


def main() -> None:
    """Measure, and write the result."""
    options = arguments().parse_args()
    result: dict[str, Any] = {"queries": options.size, "simulation": simulated(options.size)}
    if options.url:
        result["server"] = asyncio.run(every_way(options))
    write_result("overlap", result, "aiohttp")


if __name__ == "__main__":
    main()
