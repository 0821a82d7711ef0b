"""A policy and a reward whose answers depend on what they are asked and on the seed, and on nothing else."""

import asyncio
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tpo.methods.catalog import tpo
from tpo.methods.method import Method
from tpo.policies import PolicyCall, ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.runs import fingerprint
from tpo.store import RunDirectory
from tpo.types import Query, RewardUsage, Step, Timing, Trajectory, Usage, user

RECIPE = tpo(sample_size=3, max_iterations=2)


def reply(call: PolicyCall, index: int) -> str:
    """A text of the messages and the sample's own seed; some updates are malformed."""
    asked = json.dumps([call.messages, call.sampling.seed + index])
    text = hashlib.sha256(asked.encode()).hexdigest()[:12]
    return improved(text) if call.scope.phase == "update" and not text.startswith("0") else text


def value(response: str) -> float:
    """A reward of the text."""
    return int(hashlib.sha256(response.encode()).hexdigest()[:6], 16) / 1e6


def queries(count: int) -> Iterator[Query]:
    """One at a time."""
    for number in range(count):
        yield Query(f"q{number}", (user(f"question {number}"),))


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def policy(delays: int = 0) -> ScriptedPolicy:
    """Each completion waits a random number of turns, from 0 to *delays*, for whatever else is in flight."""
    luck = random.Random(delays)
    return ScriptedPolicy(reply, before=lambda call, index: _turns(luck.randint(0, delays)))


def reward(delays: int = 0) -> ScriptedReward:
    """Likewise."""
    luck = random.Random(delays)
    return ScriptedReward(value, before=lambda call: _turns(luck.randint(0, delays)))


def opened(path: Path, recipe: Method = RECIPE) -> RunDirectory:
    """The run at *path*."""
    shape = fingerprint(recipe, seed=7, data=None, policy="scripted", reward="scripted")
    return RunDirectory.open(path, configuration={}, fingerprint=shape)


def essence(trajectory: Trajectory) -> Trajectory:
    """What may not depend on when and in how many requests it was made."""
    first, *steps = (_without_usage(step) for step in (trajectory.first, *trajectory.steps))
    cost: dict[str, Any] = {"timing": Timing(0, 0), "usage": {}, "reward_usage": RewardUsage()}
    return replace(trajectory, first=first, steps=tuple(steps), **cost)


def _without_usage(step: Step) -> Step:
    return replace(step, calls=tuple(replace(call, usage=Usage()) for call in step.calls))


def by_id(trajectories: Iterator[Trajectory]) -> dict[str, Trajectory]:
    """Each query's essence; fails on one that is there twice."""
    found: dict[str, Trajectory] = {}
    for trajectory in trajectories:
        assert trajectory.query.id not in found
        found[trajectory.query.id] = essence(trajectory)
    return found
