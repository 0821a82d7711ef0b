"""What this package itself costs at many calls in flight: CPU a call, memory over a long data set.

    python -m benchmarks.client_cost [--queries 600] [--memory-queries 10000]

A loopback server in a process of its own keeps each call for a moment and answers with as many choices as
asked. In front of it stands all that ``tpo run`` has: the runner, what it counts, the journal, the HTTP
policy. CPU is that of the client's process with all its threads; a call is a request to the policy, so
that scoring, hashing and writing what it brings is part of it. Beside it stands the floor: the same number of
requests by aiohttp with nothing around them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from benchmarks.instant import LengthReward
from benchmarks.record import write_result

from tpo.cli.event_counts import EventCounts, completions_per_query
from tpo.cli.run_summary import Highlights
from tpo.methods.catalog import build_method
from tpo.policies.openai import OpenAIPolicy
from tpo.runs import Retries, fingerprint, run_queries
from tpo.runs.models import Relay
from tpo.store import RunDirectory
from tpo.types import Query, user

Measuring = Callable[[str, int, int], Coroutine[Any, Any, dict[str, Any]]]
"""What measures at a URL, so many queries or calls, so many at a time."""

IN_FLIGHT = 1000
HOLD = 0.5
"""Seconds that the server keeps a call, so that so many really are in flight."""
WORDS = 100
QUESTION = "word " * 60
MEMORY = next((p for p in ("/dev/shm",) if Path(p).is_dir()), None)  # noqa: S108 - for folders of random names


class Levels:
    """How many calls were in flight, by what each met when it came, since that was told last."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._met: list[int] = []

    def __enter__(self) -> None:
        self.in_flight += 1
        self._met.append(self.in_flight)

    def __exit__(self, *exception: object) -> None:
        self.in_flight -= 1

    def told(self) -> dict[str, int]:
        """The most, and the median, of the calls since the last time."""
        met, self._met = sorted(self._met), []
        return {"most": met[-1], "median": met[len(met) // 2]} if met else {}


def reply(n: int) -> bytes:
    """A server's reply with *n* choices, no two alike: copies would be drawn again, each by its own call."""
    texts = [f"<improved_response>{'word ' * (WORDS + i)}</improved_response>" for i in range(n)]
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for i, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 400, "completion_tokens": WORDS * n}
    return json.dumps({"choices": choices, "usage": usage}).encode()


def serve(port: Connection) -> None:
    """Answer each call with its ``n`` choices; tell the port."""
    bodies = {n: reply(n) for n in (1, 5)}
    levels = Levels()

    async def answer(request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        with levels:
            await asyncio.sleep(HOLD)
        return web.Response(body=bodies[asked.get("n", 1)], content_type="application/json")

    async def tell(_: web.Request) -> web.Response:
        return web.json_response(levels.told())

    async def main() -> None:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/v1/chat/completions", answer)
        app.router.add_get("/levels", tell)
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
    recipe = build_method("tpo")
    heard, retries = Relay(), Retries()
    heard.listeners += [Highlights(), retries, EventCounts(completions_per_query(recipe))]
    policy = OpenAIPolicy(url, "m", listener=heard, most=concurrency)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        shape = fingerprint(recipe, seed=7, data=None)
        async with RunDirectory.open(Path(folder), configuration={}, fingerprint=shape) as directory:
            cpu, wall = time.process_time(), time.perf_counter()
            summary = await run_queries(
                questions(count),
                policy,
                LengthReward(),
                recipe,
                directory,
                concurrency=concurrency,
                listener=heard,
                retries=retries,
            )
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        levels = await seen(url)
    await policy.aclose()
    calls = sum(usage.calls for usage in summary.usage.values())
    return {
        "queries": count,
        "queries_in_flight": concurrency,
        "calls_in_flight": levels,
        "calls": calls,
        "failed": summary.failed,
        "cpu_ms_per_call": round(cpu / calls * 1e3, 3),
        "wall_ms_per_call": round(wall / calls * 1e3, 3),
        "peak_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


async def alone(url: str, calls: int, in_flight: int) -> dict[str, Any]:
    """As many requests of about that size by aiohttp and ``json`` with nothing around them: the floor."""
    body = {"model": "m", "messages": [user("word " * size) for size in (60, WORDS, 2 * WORDS)], "n": 5}
    left = iter(range(calls))

    async def work(session: aiohttp.ClientSession) -> None:
        for _ in left:
            async with session.post(f"{url}/chat/completions", data=json.dumps(body).encode()) as answer:
                json.loads(await answer.read())

    timeout = aiohttp.ClientTimeout(total=None, sock_read=1200)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=in_flight), cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout
    ) as session:
        cpu = time.process_time()
        await asyncio.gather(*(work(session) for _ in range(in_flight)))
        cpu = time.process_time() - cpu
    return {
        "calls": calls,
        "cpu_ms_per_call": round(cpu / calls * 1e3, 3),
        "calls_in_flight": await seen(url),
    }


async def seen(url: str) -> dict[str, int]:
    """How many calls the server had in flight since it was asked last."""
    async with aiohttp.ClientSession() as session, session.get(url.replace("/v1", "/levels")) as answer:
        levels: dict[str, int] = await answer.json()
    return levels


def in_a_process(measuring: Measuring, url: str, count: int, concurrency: int) -> dict[str, Any]:
    """What *measuring* gives in a fresh process, so that its peak of memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (measuring, url, count, concurrency))


def _run(measuring: Measuring, url: str, count: int, concurrency: int) -> dict[str, Any]:
    return asyncio.run(measuring(url, count, concurrency))


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
    rounds, floors = [], []
    for _ in range(options.rounds):
        rounds.append(in_a_process(measure, url, options.queries, IN_FLIGHT))
        floors.append(in_a_process(alone, url, rounds[-1]["calls"], IN_FLIGHT))
    long = {} if not options.memory_queries else in_a_process(measure, url, options.memory_queries, 256)
    server.terminate()
    rounds.sort(key=lambda it: it["cpu_ms_per_call"])
    result = {
        "setup": {"server_holds_s": HOLD, "words_a_reply": WORDS},
        "rounds": rounds,
        "median": rounds[len(rounds) // 2],
        "aiohttp_alone": floors,
        "long_data_set": long,
    }
    write_result("client_cost", result, "aiohttp")


if __name__ == "__main__":
    main()
