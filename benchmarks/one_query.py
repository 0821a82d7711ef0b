"""What one query waits for on an idle server, by phase, and what asking for both critiques at once saves.

    python -m benchmarks.one_query --url http://HOST:8000 [--queries 5]

Queries go one after the other, so each finds the server idle. Rewards are lengths: their time is none.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any

from benchmarks.record import write_result

from tpo.data.load import load_queries
from tpo.methods.catalog import build_method
from tpo.methods.optimize import Optimizer
from tpo.policies.openai import OpenAIPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.tiny import examples_path
from tpo.types import Completion, Messages, Sampling, Scope


class Timed:
    """*policy*, with the seconds and tokens of each phase's calls."""

    def __init__(self, policy: OpenAIPolicy) -> None:
        self._policy = policy
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """As the policy's own."""
        began = time.perf_counter()
        async for completion in self._policy.sample(messages, sampling, scope):
            yield completion
        self.seconds[scope.phase] += time.perf_counter() - began
        self.calls[scope.phase] += 1


async def measured(url: str, method: str, count: int) -> dict[str, Any]:
    """Mean seconds a query, by phase and in all."""
    server = OpenAIPolicy(url)
    policy = Timed(server)
    optimizer = Optimizer(policy, ScriptedReward(), build_method(method, max_tokens=256))
    queries = list(islice(load_queries(str(examples_path())), count + 1))
    await optimizer.optimize(queries.pop())  # the first one pays for what starts with it
    policy.seconds.clear()
    policy.calls.clear()
    began = time.perf_counter()
    for query in queries:
        await optimizer.optimize(query)
    whole = time.perf_counter() - began
    await server.aclose()
    return {
        "seconds_a_query": round(whole / count, 3),
        "by_phase": {phase: round(seconds / count, 3) for phase, seconds in policy.seconds.items()},
        "calls_a_query": sum(policy.calls.values()) / count,
    }


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--queries", type=int, default=5)
    options = parser.parse_args()
    methods = ("tpo", "fused")
    found = {name: asyncio.run(measured(options.url, name, options.queries)) for name in methods}
    write_result("one_query", {"queries": options.queries, "methods": found}, "aiohttp")


if __name__ == "__main__":
    main()
