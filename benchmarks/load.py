"""A real server under the whole package, against a plain load generator that sends the same requests.

    python -m benchmarks.load --url http://HOST:8000 [--reward vllm:http://HOST:8001] [--levels 1,2,4,...,256]

At each level as many queries are in flight as it says, and then as many of the very requests that the run
made, in its order, none waiting for another: what the server does where nothing depends on anything. Every
pass has a salt of its own, so that none finds in the server's prefix cache what an earlier one read; the
requests of one pass share theirs, as those of the run do.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from benchmarks.record import write_result
from benchmarks.ways import together

from tpo.config import build_reward
from tpo.data.load import load_queries
from tpo.http.address import base_address
from tpo.http.chat import request_body
from tpo.methods.catalog import build_method
from tpo.policies.openai import OpenAIPolicy
from tpo.policies.wrapper import Wrapper, closing
from tpo.rewards.base import Reward
from tpo.rewards.scripted import ScriptedReward
from tpo.runs import fingerprint, run_queries
from tpo.store import RunDirectory
from tpo.tiny import examples_path
from tpo.types import Completion, Messages, Query, Sampling, Scope

LEVELS = "1,2,4,8,16,32,64,128,256"


class Recorded(Wrapper):
    """*policy*, with every call that it was asked for."""

    def __init__(self, policy: OpenAIPolicy) -> None:
        super().__init__(policy)
        self.calls: list[tuple[Messages, Sampling]] = []

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """As the policy's own."""
        self.calls.append((messages, sampling))
        async with closing(self.policy.sample(messages, sampling, scope)) as completions:
            async for completion in completions:
                yield completion


async def level(
    url: str, model: str, reward: Reward, queries: Sequence[Query], number: int
) -> dict[str, Any]:
    """*number* queries in flight, and then *number* of their requests."""
    recipe = build_method("tpo", max_tokens=256)
    server = OpenAIPolicy(url, model, extra={"cache_salt": uuid4().hex}, most=number)
    recorded = Recorded(server)
    with tempfile.TemporaryDirectory() as folder:
        shape = fingerprint(recipe, seed=7, data=None)
        async with RunDirectory.open(Path(folder), configuration={}, fingerprint=shape) as directory:
            cpu, wall = time.process_time(), time.perf_counter()
            summary = await run_queries(queries, recorded, reward, recipe, directory, concurrency=number)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await server.aclose()
    tokens = sum(usage.completion_tokens for usage in summary.usage.values())
    plain_wall, plain_tokens = await plain(url, model, recorded.calls, number)
    return {
        "in_flight": number,
        "queries": len(queries),
        "stop_reasons": dict(summary.stop_reasons),
        "calls": len(recorded.calls),
        "run_s": round(wall, 2),
        "run_tokens_a_second": round(tokens / wall, 1),
        "client_cpu_s": round(cpu, 2),
        "plain_s": round(plain_wall, 2),
        "plain_tokens_a_second": round(plain_tokens / plain_wall, 1),
        "of_plain": round(tokens / wall / (plain_tokens / plain_wall), 3),
    }


async def plain(
    url: str, model: str, calls: Sequence[tuple[Messages, Sampling]], in_flight: int
) -> tuple[float, int]:
    """Seconds and written tokens of *calls*, *in_flight* at a time, by nothing but an HTTP client."""
    address, salt = base_address(url) + "/chat/completions", {"cache_salt": uuid4().hex}
    left, tokens = iter(calls), 0
    patience = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=patience) as session:

        async def send() -> None:
            nonlocal tokens
            for messages, sampling in left:
                body = request_body(model, messages, sampling, salt)
                drawn = await together(session, address, body, sampling.n)
                tokens += drawn.tokens  # behind the await, or what others add meanwhile is lost

        began = time.perf_counter()
        await asyncio.gather(*(send() for _ in range(in_flight)))
        return time.perf_counter() - began, tokens


async def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every level, the result written after each, since the first ones take longest."""
    queries = list(islice(load_queries(str(examples_path())), options.queries))
    reward = build_reward(options.reward) if options.reward else ScriptedReward()
    rows: list[dict[str, Any]] = []
    for number in map(int, options.levels.split(",")):
        some = queries[: max(1, options.a_level * number)]
        rows.append(await level(options.url, options.model, reward, some, number))
        write_result("load", {"queries": len(queries), "reward": options.reward, "levels": rows}, "aiohttp")
    close = getattr(reward, "aclose", None)
    if close is not None:
        await close()
    return rows


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--reward")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--levels", default=LEVELS)
    parser.add_argument("--a-level", type=int, default=12, help="queries for each of them in flight, at most")
    return parser


def main() -> None:
    """Measure, and write the result."""
    asyncio.run(measured(arguments().parse_args()))


if __name__ == "__main__":
    main()
