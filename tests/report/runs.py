"""Runs made by the loop itself, with a scripted policy and reward, for the report to show."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tpo.methods.catalog import build_method
from tpo.methods.method import Method
from tpo.methods.selection import HighestReward, Selection
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.runs import fingerprint, run_queries
from tpo.store import RunDirectory
from tpo.types import Candidate, Query, user

PHRASE = (
    "the garden party starts at noon on Saturday, bring a friend and something warm to wear; Ana and Tom "
    "will meet you by the old gate, where the path turns left, and there will be cake, music and a speech"
)
WORDS = PHRASE.split()
BEST = HighestReward()


def chance(*parts: object) -> float:
    """Between 0 and 1, the same for the same *parts*."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32


def say(call: PolicyCall, index: int) -> str:
    """Words by chance, longer with each step; now and then an update without its tags."""
    scope = call.scope
    count = int(25 + 12 * scope.step + 30 * chance(scope.query, scope.step, index, "length"))
    start = int(chance(scope.query, scope.step, index) * len(WORDS))
    words = [WORDS[(start + i * (1 + start % 3)) % len(WORDS)] for i in range(count)]
    text = f"{scope.phase.capitalize()} {scope.step}.{index}: {' '.join(words)}."
    if scope.phase != "update":
        return text
    return text if chance(scope.query, scope.step, index, "tags") < 0.03 else improved(text)


def worth(strength: float) -> Callable[[str], float]:
    """A reward that rises with the step which a text names, by *strength*, and scatters."""

    def score(text: str) -> float:
        step = int(text.split()[1].split(".")[0]) if text.startswith("Update") else 0
        return round(-3 + strength * math.sqrt(step) + 2.5 * (chance(text) - 0.5), 4)

    return score


def recipe(method: str = "tpo", samples: int = 5, iterations: int = 2) -> Method:
    return build_method(method, sample_size=samples, max_iterations=iterations)


def make_run(
    path: Path,
    queries: Sequence[Query],
    policy: ScriptedPolicy,
    reward: ScriptedReward,
    plan: Method,
    configuration: Mapping[str, object] = MappingProxyType({}),
    selection: Selection = BEST,
) -> Path:
    """The run of *queries* in the directory *path*; *configuration* is noted beside what it was made with."""

    async def whole() -> None:
        values = {"policy": "scripted", "reward": "scripted", "method": plan.name} | dict(configuration)
        marks = fingerprint(plan, seed=7, data="shown", policy="scripted", reward="scripted")
        async with RunDirectory.open(path, configuration=values, fingerprint=marks) as directory:
            await run_queries(queries, policy, reward, plan, directory, concurrency=8, selection=selection)

    asyncio.run(whole())
    return path


class Worst:
    """Selection of the lowest reward."""

    name = "worst"

    def select(self, query: Query, pool: Sequence[Candidate]) -> Candidate:
        del query
        return min(pool, key=lambda candidate: candidate.reward)


def worst(path: Path, count: int) -> Path:
    """A run of *count* queries whose answers are the worst of their pools."""
    reward = ScriptedReward(worth(0.8))
    return make_run(path, questions(count), ScriptedPolicy(say), reward, recipe(), selection=Worst())


def questions(count: int) -> list[Query]:
    return [
        Query(f"q{n}", (user(f"Write an invitation number {n}: {' '.join(WORDS[: 5 + n % 20])}?"),))
        for n in range(count)
    ]


def ordinary(path: Path, count: int = 20, method: str = "tpo", strength: float = 0.8, **shape: int) -> Path:
    """A run of *count* queries that mostly get better."""
    reward = ScriptedReward(worth(strength))
    return make_run(path, questions(count), ScriptedPolicy(say), reward, recipe(method, **shape))
