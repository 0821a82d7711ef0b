"""Throughput against a server that answers some requests with 429, through the whole HTTP path.

    python -m benchmarks.refusals [--requests 1000]

A loopback server in a process of its own holds each request for 0.4 s. It refuses a random share of them with
``Retry-After: 1``: 2 %, 5 %, and 30 % for half a minute; and it refuses what exceeds ten requests in flight.
64 callers make one call after the other by ``OpenAIPolicy``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import multiprocessing
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from aiohttp import web
from benchmarks.record import write_result

from tpo.events import CallRetried, Event, LimitChanged
from tpo.policies.openai import OpenAIPolicy
from tpo.types import Sampling, Scope, user

HOLD = 0.4
CALLERS = 64
CALM, BURST, AFTER = 20.0, 30.0, 30.0
"""Seconds before, in and after the burst."""
STRETCH = 5.0


def serve(port: Connection) -> None:
    """Refuse and answer as the model's name says: ``SHARE-MOST``."""
    luck, in_flight = random.Random(7), 0  # noqa: S311 - a simulation
    choices = [{"index": 0, "message": {"content": "x"}}]
    usage = {"prompt_tokens": 5, "completion_tokens": 20}

    async def answer(request: web.Request) -> web.Response:
        nonlocal in_flight
        share, most = json.loads(await request.read())["model"].split("-")
        if luck.random() < float(share) or in_flight >= int(most):
            return web.json_response({"error": "busy"}, status=429, headers={"Retry-After": "1"})
        in_flight += 1
        await asyncio.sleep(HOLD * luck.uniform(0.7, 1.3))
        in_flight -= 1
        return web.json_response({"choices": choices, "usage": usage})

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


@dataclass
class Load:
    """What came of calls: their ends, retries and the last limit."""

    url: str
    model: Callable[[float], str]
    """By the seconds since the start."""
    seconds: float = math.inf
    calls: float = math.inf
    """After which it ends."""
    ends: list[float] = field(default_factory=list)
    retries: int = 0
    limit: int = 32

    def __call__(self, event: Event) -> None:
        """Count *event*."""
        self.retries += isinstance(event, CallRetried)
        if isinstance(event, LimitChanged):
            self.limit = event.limit

    async def run(self) -> Load:
        """Make calls, each caller one after the other."""
        policy = OpenAIPolicy(self.url, "0-999", listener=self, most=CALLERS)
        began, number = time.perf_counter(), 0

        async def work() -> None:
            nonlocal number
            while (now := time.perf_counter() - began) < self.seconds and number < self.calls:
                number += 1
                policy.model = self.model(now)
                calls = policy.sample((user("hi"),), Sampling(), Scope(f"q{number}", 0, "sample"))
                await anext(calls)
                self.ends.append(time.perf_counter() - began)

        await asyncio.gather(*(work() for _ in range(CALLERS)))
        await policy.aclose()
        return self

    def rate(self, start: float, end: float) -> float:
        """Calls a second."""
        return round(sum(start <= at < end for at in self.ends) / (end - start), 1)


def _named(share: float, now: float = 0.0, most: int = 999) -> str:
    del now
    return f"{share}-{most}"


async def measured(url: str, requests: int) -> dict[str, Any]:
    """All of it."""
    rows: dict[str, Any] = {}
    for share in (0.0, 0.02, 0.05):
        done = await Load(url, partial(_named, share), calls=requests).run()
        rows[f"{share:.0%} refused"] = {"seconds": round(done.ends[-1], 2), "retries": done.retries}
    total = CALM + BURST + AFTER
    done = await Load(url, lambda now: _named(0.3 * (CALM <= now < CALM + BURST)), seconds=total).run()
    starts = [number * STRETCH for number in range(int(total / STRETCH))]
    rows["burst"] = {f"{start:.0f} s": done.rate(start, start + STRETCH) for start in starts}
    done = await Load(url, partial(_named, 0.0, most=10), seconds=2 * BURST).run()
    half = {"calls_a_second": done.rate(BURST, 2 * BURST), "ideal": round(10 / HOLD, 1)}
    rows["ten in flight"] = half | {"retries": done.retries, "limit_at_the_end": done.limit}
    return rows


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    mine, its = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(its,), daemon=True)
    server.start()
    rows = asyncio.run(measured(f"http://127.0.0.1:{mine.recv()}/v1", options.requests))
    server.terminate()
    write_result("refusals", {"setup": {"hold_s": HOLD, "callers": CALLERS}} | rows, "aiohttp")


if __name__ == "__main__":
    main()
