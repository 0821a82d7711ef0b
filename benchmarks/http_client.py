"""Which HTTP client costs least at many calls in flight: CPU and wall time a call, httpx against aiohttp.

    python benchmarks/http_client.py

A loopback server in a process of its own holds each call for a moment and answers with five choices, as a
chat-completions server would. The result goes to ``benchmarks/results/http_client.json``.
"""

import asyncio
import json
import multiprocessing
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
import httpx
from aiohttp import web

IN_FLIGHT = 1000
CALLS = 2000
ROUNDS = 3
HOLD = 0.5
"""Seconds that the server keeps a call, so that IN_FLIGHT of them really are in flight."""
REQUEST = {"model": "m", "n": 5, "seed": 7, "messages": [{"role": "user", "content": "word " * 400}]}
RESULT = Path(__file__).parent / "results" / "http_client.json"

Ask = Callable[[str], Awaitable[Any]]


def serve(port: Connection) -> None:
    """Answer every call alike; tell the port."""
    choice = {"message": {"role": "assistant", "content": "word " * 100}, "finish_reason": "stop"}
    body = json.dumps({"choices": [choice | {"index": i} for i in range(5)], "usage": {}}).encode()

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(HOLD)
        return web.Response(body=body, content_type="application/json")

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
        await site.start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


@asynccontextmanager
async def with_aiohttp() -> Any:
    """A call by aiohttp."""
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(url: str) -> Any:
            async with session.post(url, json=REQUEST) as reply:
                return json.loads(await reply.read())

        yield ask


@asynccontextmanager
async def with_httpx() -> Any:
    """A call by httpx."""
    limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
    async with httpx.AsyncClient(limits=limits, timeout=300) as client:

        async def ask(url: str) -> Any:
            return json.loads((await client.post(url, json=REQUEST)).content)

        yield ask


CLIENTS: dict[str, Callable[[], AbstractAsyncContextManager[Ask]]] = {
    "aiohttp": with_aiohttp,
    "httpx": with_httpx,
}


async def measure(client: Callable[[], AbstractAsyncContextManager[Ask]], url: str) -> dict[str, float]:
    """Milliseconds a call, CPU of this process and wall, over CALLS calls, IN_FLIGHT at a time."""
    async with client() as ask:
        left = iter(range(CALLS))

        async def work() -> None:
            for _ in left:
                reply = await ask(url)
                assert len(reply["choices"]) == 5  # noqa: S101 - a benchmark that measures errors misleads

        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_ms_per_call": cpu / CALLS * 1e3, "wall_ms_per_call": wall / CALLS * 1e3}


def main() -> None:
    """Measure each client in turn, ROUNDS times over, and write the medians."""
    mine, its = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(its,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{mine.recv()}/v1/chat/completions"
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in CLIENTS}
    for _ in range(ROUNDS):
        for name, client in CLIENTS.items():
            rounds[name].append(asyncio.run(measure(client, url)))
            sys.stderr.write(f"{name}: {rounds[name][-1]}\n")
    server.terminate()
    result = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.argv]),
        "machine": {"cpu": _cpu(), "cores": multiprocessing.cpu_count(), "system": platform.platform()},
        "versions": {"python": platform.python_version()} | {name: version(name) for name in CLIENTS},
        "setup": {"calls": CALLS, "in_flight": IN_FLIGHT, "rounds": ROUNDS, "server_holds_s": HOLD},
        "median": {name: _summary(values, statistics.median) for name, values in rounds.items()},
        "least": {name: _summary(values, min) for name, values in rounds.items()},
        "most": {name: _summary(values, max) for name, values in rounds.items()},
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    sys.stdout.write(json.dumps(result["median"], indent=2) + "\n")


def _summary(values: list[dict[str, float]], of: Callable[[list[float]], float]) -> dict[str, float]:
    return {key: round(of([value[key] for value in values]), 3) for key in values[0]}


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = [x for x in info.read_text().splitlines() if x.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor()


if __name__ == "__main__":
    main()
