"""Which order of calls in the engine's queue ends soonest, all queries in flight, in simulation.

    python -m benchmarks.order [--size 200]

``first come`` is what happens without ``--sequences``. ``longest rest, judged`` ranks a query by its own
replies so far; ``longest rest, known`` by how long it took alone, which nobody knows beforehand: a bound for
such orders.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from benchmarks.record import write_result
from benchmarks.simulation import LARGE, SMALL, Engine, Lengths, SimulatedPolicy, SimulatedReward, run_virtual
from benchmarks.simulation.limits import limit, unlimited
from benchmarks.simulation.models import Priority
from benchmarks.simulation.schedules import Outcome, Work, alone

from tpo.methods.catalog import build_method
from tpo.methods.optimize import Optimizer
from tpo.types import Completion, Messages, Sampling, Scope

HARDWARE = {"70B on four H100": LARGE, "8B on one H100": SMALL}
PLACES = {"sample": 0, "loss": 1, "gradient": 2, "update": 3}
CHAIN = (480, 170, 170, 480, 170, 170, 480)
"""Steps of each call of D2-N5 before anything is known of a query: the longest of five, or a critique."""


def place(scope: Scope) -> int:
    """How many calls of its query come before."""
    return 3 * max(0, scope.step - 1) + PLACES[scope.phase]


class Observed(SimulatedPolicy):
    """Remembers how long each query's responses were."""

    longest: dict[str, int]

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """As the policy's own."""
        async for completion in super().sample(messages, sampling, scope):
            if sampling.n > 1:
                tokens = completion.usage.completion_tokens
                self.longest[scope.query] = max(tokens, self.longest.get(scope.query, 0))
            yield completion


async def ordered(work: Work, priority: Priority, longest: dict[str, int]) -> Outcome:
    """All queries at once, their calls in the order of *priority*."""
    loop = asyncio.get_running_loop()
    engine, reward = Engine(work.hardware), SimulatedReward()
    policy = Observed(engine, work.lengths, "each", priority)
    policy.longest = longest
    optimizer = Optimizer(policy, reward, work.recipe, clock=loop.time)
    await asyncio.gather(*(optimizer.optimize(query) for query in work.queries()))
    return Outcome(loop.time(), engine.totals, reward.seconds)


def orders(times: dict[str, float], longest: dict[str, int]) -> dict[str, Priority]:
    """Each order by its name, lowest value first."""

    def rest(scope: Scope) -> float:
        own = longest.get(scope.query, 480)
        return sum(own if steps == 480 else steps for steps in CHAIN[place(scope) :])

    return {
        "first come": lambda scope: 0.0,  # noqa: ARG005 - whatever it is
        "later steps first": lambda scope: -place(scope),
        "earlier steps first": place,
        "longest rest, judged": lambda scope: -rest(scope),
        "longest rest, known": lambda scope: -times[scope.query] * sum(CHAIN[place(scope) :]) / sum(CHAIN),
    }


def rows(work: Work) -> dict[str, Any]:
    """Every order on one engine."""
    least = run_virtual(alone(replace(work, hardware=unlimited(work.hardware))))
    bound = limit(work.hardware, least)
    joint = bound.joint
    found = {}
    longest: dict[str, int] = {}
    for name, priority in orders(least.times, longest).items():
        longest.clear()
        outcome = run_virtual(ordered(work, priority, longest))
        found[name] = {
            "makespan_s": round(outcome.seconds, 2),
            "of_limit": round(outcome.seconds / bound.seconds, 3),
            "of_joint": round(outcome.seconds / joint, 3),
            "prefill_of_least": round(outcome.engine.computed_tokens / least.engine.computed_tokens, 3),
        }
    return {"limit_s": round(bound.seconds, 2), "joint_s": round(joint, 2), "orders": found}


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=200)
    size: int = parser.parse_args().size
    recipe = build_method("tpo")
    result = {name: rows(Work(size, Lengths(), recipe, hardware)) for name, hardware in HARDWARE.items()}
    write_result("order", {"queries": size, "engines": result})


if __name__ == "__main__":
    main()
