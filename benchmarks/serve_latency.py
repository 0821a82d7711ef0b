"""Cost of the endpoint: latency and throughput of ``@off``, 500 streams at once, memory.

    python -m benchmarks.serve_latency
    python -m benchmarks.serve_latency --policy http://127.0.0.1:8000/v1 --model NAME --in-flight 8 --calls 64

An engine in a process of its own holds each call for a fixed time, so that endpoint and engine, which share
the machine, do not compete; the endpoint is ``tpo serve`` in another. Requests straight to the engine and
through the endpoint alternate in rounds. The result goes to ``benchmarks/results/serve_latency.json``. With
``--policy`` a running server takes the engine's place; only the latency of ``@off`` is measured, each call
generates 16 tokens, and the result goes to ``benchmarks/results/serve_latency_server.json``.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from aiohttp import web

IN_FLIGHT = 50
HOLD = 0.5
"""Seconds that the engine keeps a call of the latency measurement."""
ROUNDS = 4
CALLS = 400
STREAMS = 500
FLAT = 10_000
RESULT = Path(__file__).parent / "results" / "serve_latency.json"
MESSAGES = [{"role": "user", "content": "word " * 200}]
REWARD = "def length(messages, response):\n    return len(response)\n"


def engine(port: Connection, wanted: int = 0) -> None:
    """Answer each call after the seconds that its field ``hold`` says; tell the port."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        await asyncio.sleep(body.get("hold", 0.0))
        message = {"role": "assistant", "content": "<improved_response>word word</improved_response>"}
        choices = [
            {"index": i, "message": message, "finish_reason": "stop"} for i in range(body.get("n") or 1)
        ]
        return web.json_response({"choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 5}})

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        app.router.add_get("/v1/models", models)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", wanted, backlog=4096).start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def running_engine(wanted: int = 0) -> Iterator[int]:
    """Run the engine and yield its port."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=engine, args=(there, wanted))
    process.start()
    try:
        yield here.recv()
    finally:
        process.kill()
        process.join()


@contextmanager
def running_endpoint(policy: str, name: str = "m") -> Iterator[tuple[str, psutil.Process]]:
    """Run ``tpo serve`` before the server at *policy*; yield its URL and process."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "scores.py").write_text(REWARD)
        program = "from tpo.cli.main import main; main()"
        options = [
            "--policy",
            policy,
            "--reward",
            "python:scores:length",
            "--port",
            "0",
        ]
        shape = ["--name", name, "-n", "2", "-d", "1", "--max-waiting", "2000", "--retry-timeout", "30"]
        command = [sys.executable, "-c", program, "serve", *options, *shape]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([folder, *sys.path])}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            yield process.stdout.readline().strip(), psutil.Process(process.pid)
        finally:
            process.kill()
            process.wait()


async def timed(
    session: aiohttp.ClientSession, url: str, calls: int, body: dict[str, Any], in_flight: int = IN_FLIGHT
) -> list[float]:
    """Return the seconds of each of *calls* requests, *in_flight* at a time, spread over a hold."""
    seconds: list[float] = []
    left = iter(range(calls))

    async def work(number: int) -> None:
        await asyncio.sleep(body.get("hold", 0.0) * number / in_flight)
        for _ in left:
            started = time.perf_counter()
            async with session.post(f"{url}/chat/completions", json=body) as reply:
                await reply.read()
                if reply.status != 200:
                    raise RuntimeError(f"status {reply.status}")
            seconds.append(time.perf_counter() - started)

    await asyncio.gather(*(work(number) for number in range(in_flight)))
    return seconds


async def latency(
    session: aiohttp.ClientSession,
    direct: str,
    through: str,
    process: psutil.Process,
    body: dict[str, Any],
    calls: int = CALLS,
    in_flight: int = IN_FLIGHT,
) -> dict[str, Any]:
    """Compare requests that are passed on with requests straight to the engine."""
    times: dict[str, list[float]] = {direct: [], through: []}
    walls = dict.fromkeys(times, 0.0)
    spent = 0.0
    for number in range(ROUNDS + 1):
        for url in times:
            started, busy = time.perf_counter(), sum(process.cpu_times()[:2])
            named = body if url == direct else body | {"model": f"{body['model']}@off"}
            found = await timed(session, url, calls, named, in_flight)
            if number:  # the first round opens the connections
                times[url] += found
                walls[url] += time.perf_counter() - started
                spent += sum(process.cpu_times()[:2]) - busy
    cuts = {url: statistics.quantiles(found, n=100) for url, found in times.items()}
    return {
        "added_p50_ms": 1000 * (cuts[through][49] - cuts[direct][49]),
        "added_p99_ms": 1000 * (cuts[through][98] - cuts[direct][98]),
        "throughput_share": walls[direct] / walls[through],
        "direct_p50_ms": 1000 * cuts[direct][49],
        "direct_p99_ms": 1000 * cuts[direct][98],
        "cpu_ms_a_request": 1000 * spent / len(times[through]),
        "requests": len(times[through]),
    }


async def streams(session: aiohttp.ClientSession, through: str) -> dict[str, Any]:
    """Open STREAMS optimized streams at once; count those that end with their answer."""
    body = {"model": "m", "stream": True, "hold": 0.2}

    async def one(number: int) -> bool:
        messages = [{"role": "user", "content": f"query {number}"}]
        async with session.post(f"{through}/chat/completions", json=body | {"messages": messages}) as reply:
            text = await reply.text()
        return reply.status == 200 and '"finish_reason": "stop"' in text and text.endswith("[DONE]\n\n")

    started = time.perf_counter()
    found = await asyncio.gather(*(one(number) for number in range(STREAMS)), return_exceptions=True)
    return {
        "clients": STREAMS,
        "failed": sum(each is not True for each in found),
        "s": time.perf_counter() - started,
    }


async def memory(session: aiohttp.ClientSession, through: str, process: psutil.Process) -> dict[str, Any]:
    """Return the endpoint's resident memory after a tenth of FLAT optimized requests, and after all."""
    body = {"model": "m@bon-2", "messages": [{"role": "user", "content": "word " * 200}]}
    await timed(session, through, FLAT // 10, body)
    early = process.memory_info().rss
    await timed(session, through, FLAT - FLAT // 10, body)
    late = process.memory_info().rss
    return {"requests": FLAT, "early_mb": early / 2**20, "late_mb": late / 2**20}


async def measure(port: int, through: str, process: psutil.Process) -> dict[str, Any]:
    """Return every measurement with the engine at *port*."""
    body = {"model": "m", "messages": MESSAGES, "hold": HOLD}
    async with connected() as session:
        return {
            "off": await latency(session, f"http://127.0.0.1:{port}/v1", through, process, body),
            "streams": await streams(session, through),
            "memory": await memory(session, through, process),
        }


async def measure_server(given: argparse.Namespace, through: str, process: psutil.Process) -> dict[str, Any]:
    """Return the latency of ``@off`` with a real server."""
    body = {"model": given.model, "messages": MESSAGES, "max_tokens": 16, "temperature": 0.0}
    async with connected() as session:
        return {
            "off": await latency(session, given.policy, through, process, body, given.calls, given.in_flight)
        }


def connected() -> aiohttp.ClientSession:
    """Return a session without a limit of connections."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4))


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--policy", help="base URL of a running server in place of the engine")
    parser.add_argument("--model", default="m")
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT)
    parser.add_argument("--calls", type=int, default=CALLS)
    given = parser.parse_args()
    with nullcontext() if given.policy else running_engine() as port:
        policy = given.policy or f"http://127.0.0.1:{port}/v1"
        with running_endpoint(policy, given.model) as (through, process):
            if given.policy:
                found = asyncio.run(measure_server(given, through, process))
            else:
                found = asyncio.run(measure(int(port or 0), through, process))
    result = RESULT.with_name("serve_latency_server.json") if given.policy else RESULT
    command = " ".join(["python -m benchmarks.serve_latency", *sys.argv[1:]])
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "load_average": os.getloadavg()}
    head = {"command": command, "date": datetime.now(UTC).isoformat(), **machine}
    shape = {"in_flight": given.in_flight} | ({} if given.policy else {"hold_s": HOLD})
    result.write_text(json.dumps(head | shape | found, indent=2) + "\n")
    sys.stdout.write(result.read_text())


if __name__ == "__main__":
    main()
