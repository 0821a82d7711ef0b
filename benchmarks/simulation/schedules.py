"""Ways to run the method over many queries on a simulated engine: this package's, and the reference's."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.simulation.engine import Engine, Totals
from benchmarks.simulation.hardware import Hardware
from benchmarks.simulation.models import (
    Delivery,
    Lengths,
    Priority,
    SimulatedPolicy,
    SimulatedReward,
    first_come,
    queries,
)

from tpo.methods.method import Method
from tpo.methods.optimize import Optimizer
from tpo.policies.base import Policy
from tpo.rewards.base import Reward
from tpo.runs import fingerprint, run_queries
from tpo.store import RunDirectory
from tpo.types import Messages, Query, Scope, Score

MEMORY = next((p for p in ("/dev/shm",) if Path(p).is_dir()), None)  # noqa: S108 - for folders of random names
"""Linux keeps this one in memory; elsewhere the usual place has to do."""

REFERENCE_THREADS = 4
REFERENCE_CHUNK = 4 * REFERENCE_THREADS


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: so many queries with texts of such lengths, by *recipe* on *hardware*."""

    count: int
    lengths: Lengths
    recipe: Method
    hardware: Hardware
    gain: float = 0.0
    """Of the reward, a step."""

    def queries(self) -> list[Query]:
        """The queries."""
        return list(queries(self.count, self.lengths))


@dataclass(slots=True)
class Outcome:
    """What came of it: seconds, the engine's totals, the reward's busy seconds, queries' times and steps."""

    seconds: float = 0.0
    engine: Totals = field(default_factory=Totals)
    reward_seconds: float = 0.0
    times: dict[str, float] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)


Schedule = Callable[[Work], Awaitable[Outcome]]


async def this_package(
    work: Work,
    *,
    concurrency: int,
    sequences: int | None = None,
    delivery: Delivery = "together",
    reward_budget: int = 16_384,
    priority: Priority = first_come,
) -> Outcome:
    """The real runner, with its run directory and journal.

    A call's samples come together, as they do of one request with n.
    """
    loop = asyncio.get_running_loop()
    engine, reward = Engine(work.hardware), SimulatedReward(budget=reward_budget, gain=work.gain)
    policy = SimulatedPolicy(engine, work.lengths, delivery, priority)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        shape = fingerprint(work.recipe, seed=7, data=None)
        opened = RunDirectory.open(Path(folder), configuration={}, fingerprint=shape, clock=loop.time)
        async with opened as directory:
            summary = await run_queries(
                iter(work.queries()),
                policy,
                reward,
                work.recipe,
                directory,
                concurrency=concurrency,
                sequences=sequences,
            )
    if summary.failed:
        raise RuntimeError(f"a simulated query failed: {summary.failures}")
    return Outcome(loop.time(), engine.totals, reward.seconds)


async def alone(work: Work) -> Outcome:
    """Each query by itself on an idle engine that forgets nothing: the chains, and the least work."""
    loop = asyncio.get_running_loop()
    engine, reward = Engine(work.hardware), SimulatedReward(gain=work.gain)
    optimizer = Optimizer(SimulatedPolicy(engine, work.lengths), reward, work.recipe, clock=loop.time)
    outcome = Outcome(0.0, engine.totals)
    for query in work.queries():
        before = engine.totals.steps
        trajectory = await optimizer.optimize(query)
        outcome.times[query.id] = trajectory.timing.ended - trajectory.timing.started
        outcome.steps[query.id] = engine.totals.steps - before
    outcome.seconds, outcome.reward_seconds = loop.time(), reward.seconds
    return outcome


async def reference(work: Work) -> Outcome:
    """The reference's way: four threads, chunks of sixteen queries that wait for their slowest.

    A thread waits for a whole request, then scores its responses one after the other; the reward model takes
    one response at a time.
    """
    loop = asyncio.get_running_loop()
    engine, reward = Engine(work.hardware), SimulatedReward(budget=1, gain=work.gain)
    policy = SimulatedPolicy(engine, work.lengths, "together")
    threads = asyncio.Semaphore(REFERENCE_THREADS)
    todo = work.queries()
    for first in range(0, len(todo), REFERENCE_CHUNK):
        chunk = todo[first : first + REFERENCE_CHUNK]
        await asyncio.gather(*(_in_a_thread(threads, policy, reward, work.recipe, query) for query in chunk))
    return Outcome(loop.time(), engine.totals, reward.seconds)


async def _in_a_thread(
    threads: asyncio.Semaphore, policy: Policy, reward: Reward, recipe: Method, query: Query
) -> None:
    async with threads:
        await Optimizer(policy, OneAfterTheOther(reward), recipe).optimize(query)


class OneAfterTheOther:
    """*reward*, of which one query asks one score at a time."""

    def __init__(self, reward: Reward) -> None:
        self._reward = reward
        self._free = asyncio.Lock()

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """The score, once it is this response's turn."""
        async with self._free:
            return await self._reward.score(messages, response, scope)
