"""A run of two hundred queries over HTTP, and what must hold of it whatever happened."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.fault_proxy import FAULTS, Fault
from tests.openai_server import OpenAIServer
from tpo.events import Event, Listener
from tpo.http import Clock, RetryPolicy
from tpo.methods.catalog import tpo
from tpo.policies import OpenAIPolicy, Policy, ScriptedPolicy
from tpo.rewards.base import Reward
from tpo.rewards.scripted import ScriptedReward
from tpo.rewards.vllm import VLLMReward
from tpo.runs import Retries, Summary, fingerprint, run_queries
from tpo.store import RunDirectory
from tpo.types import Query, user

QUERIES = 200
RECIPE = tpo(sample_size=3, max_iterations=1)
SCORES = QUERIES * 2 * 3
"""Responses to score, unless a step repeats one."""
NEEDED = QUERIES * (1 + 3)
"""Calls: the first samples, then a loss, a gradient and an update."""
MIX: tuple[Fault, ...] = (*(fault for fault in FAULTS if fault != "held"),) * 3 + ("held",)
"""Faults of a run; the fewest replies are held, since each of those takes a whole read timeout."""
HELD = 600.0
"""Seconds of silence of a held reply: longer than any run here."""
SHORT_TIMEOUT = 5.0
"""Read timeout in seconds of a run with held replies."""
LONG_TIMEOUT = 120.0
"""Read timeout in seconds of any other run: longer than a loaded machine takes for one reply."""


def root(server: OpenAIServer) -> str:
    """Its URL as the proxy takes it."""
    return server.url.removesuffix("/v1")


def carried_out(
    url: str | list[str],
    path: Path,
    retry: RetryPolicy,
    listener: Listener | None = None,
    clock: Clock | None = None,
    timeout: float = LONG_TIMEOUT,
) -> Summary:
    """The run at *path*, begun or gone on with; *listener* receives the policy's events as well."""
    policy = OpenAIPolicy(
        url, "scripted", timeout=timeout, retry=retry, most=64, clock=clock, listener=listener
    )
    return run_whole(path, policy, ScriptedReward(len), policy.aclose, listener)


def scored(
    url: str | list[str],
    path: Path,
    retry: RetryPolicy,
    listener: Listener | None = None,
    timeout: float = LONG_TIMEOUT,
) -> Summary:
    """The run at *path* with a served reward, whose events *listener* receives, and a scripted policy."""
    retries = Retries()

    def hear(event: Event) -> None:
        retries(event)
        if listener is not None:
            listener(event)

    reward = VLLMReward(url, tokenizer="none", timeout=timeout, retry=retry, listener=hear)
    return run_whole(path, ScriptedPolicy(), reward, reward.aclose, listener, retries)


def run_whole(
    path: Path,
    policy: Policy,
    reward: Reward,
    close: Callable[[], Awaitable[None]],
    listener: Listener | None,
    retries: Retries | None = None,
) -> Summary:
    """All queries; *close* ends what was opened for them."""
    shape = fingerprint(RECIPE, seed=7, data=None, policy="scripted", reward="length")

    async def whole() -> Summary:
        queries = (Query(f"q{n}", (user(f"question {n}"),)) for n in range(QUERIES))
        async with RunDirectory.open(path, configuration={}, fingerprint=shape) as directory:
            try:
                return await run_queries(
                    queries,
                    policy,
                    reward,
                    RECIPE,
                    directory,
                    concurrency=50,
                    listener=listener,
                    retries=retries,
                )
            finally:
                await close()

    return asyncio.run(whole())


def lines(path: Path) -> list[dict[str, Any]]:
    """The trajectories as they stand in the file."""
    return [json.loads(line) for line in (path / "trajectories.jsonl").read_text("utf-8").splitlines()]


def check_whole(path: Path) -> None:
    """Every query once, each candidate once, none lost where the query finished."""
    records = lines(path)
    assert Counter(record["query"]["id"] for record in records) == {f"q{n}": 1 for n in range(QUERIES)}
    for record in records:
        ids = [candidate["id"] for candidate in record["candidates"]]
        assert len(set(ids)) == len(ids)
        if record["status"] == "finished":
            assert sorted(ids) == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]
        else:
            assert record["error"]
