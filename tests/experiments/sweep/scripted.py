"""Sweeps with scripted models; everything else is real."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.report.runs import chance, questions
from tpo.config import Settings
from tpo.experiments.cells import Cell
from tpo.experiments.sweep.grid import Axes, sweep_cells
from tpo.experiments.sweep.held_out import HeldOutScores
from tpo.experiments.sweep.plan import SweepPlan
from tpo.experiments.sweep.results import Outcome, write_results
from tpo.experiments.sweep.run_cells import SweepModels, run_cells
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved
from tpo.rewards.base import Reward
from tpo.rewards.scripted import ScriptedReward
from tpo.store import read_trajectories
from tpo.types import Timing, Trajectory

GUIDE, OTHER, HELD_OUT = "python:made:guide", "python:made:other", "python:made:held_out"


def say(call: PolicyCall, index: int) -> str:
    """Return a text that depends only on the sample's seed and prompt, like a seeded model."""
    place = (call.messages, call.sampling.seed + index, call.sampling.temperature)
    words = " ".join(["word"] * (1 + int(9 * chance(*place))))
    text = f"{call.scope.phase} {chance(*place):.6f} {words}"
    return improved(text) if call.scope.phase == "update" else text


def worth(text: str) -> float:
    """Return a pseudo-random score that is higher for updates."""
    return round(chance(text) + 0.5 * text.startswith("update"), 6)


def plan(
    out: Path,
    *,
    methods: Sequence[str] = ("tpo", "bon"),
    samples: Sequence[int] = (2, 4),
    iterations: Sequence[int] = (1,),
    rewards: Sequence[str] = (GUIDE,),
    seeds: Sequence[int] = (7,),
    queries: int = 3,
    **more: Any,
) -> SweepPlan:
    """Return the plan of ``tpo sweep``, by default without figures and page."""
    settings = Settings(policy=("hf:made/policy",), reward=tuple(rewards), concurrency=4)
    axes = Axes(tuple(methods), tuple(samples), tuple(iterations), tuple(rewards), tuple(seeds))
    return SweepPlan(
        settings=settings,
        source="questions.jsonl",
        queries=tuple(questions(queries)),
        digest="sha256:made",
        cells=sweep_cells(settings, axes),
        out=out,
        clock=lambda: 0.0,
        **{"figures": False, "page": False, **more},
    )


def models(
    of: SweepPlan,
    policy: ScriptedPolicy | None = None,
    rewards: Mapping[str, Reward] | None = None,
    order: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> SweepModels:
    """Return scripted models; by default the same reward under every name."""
    each = rewards or {name: ScriptedReward(worth) for name in of.rewards}
    return SweepModels(policy or ScriptedPolicy(say, order=order), each)


async def execute(of: SweepPlan, with_: SweepModels, held_out: Reward | None = None) -> dict[str, Any]:
    """Run all cells, score them with *held_out* if given, and write the results."""
    failures = await run_cells(of, of.incomplete_cells(), with_)
    if held_out is None:
        return write_results(of, Outcome(failures))
    kept = HeldOutScores(of.held_out_file())
    try:
        await kept.score((t for cell in of.cells for t in trajectories(of, cell)), held_out)
        return write_results(of, Outcome(failures, kept))
    finally:
        await kept.close()


def carried_out(
    of: SweepPlan, with_: SweepModels | None = None, held_out: Reward | None = None
) -> dict[str, Any]:
    """Call :func:`execute` in an event loop of its own."""
    return asyncio.run(execute(of, with_ or models(of), held_out))


def trajectories(of: SweepPlan, cell: Cell) -> list[Trajectory]:
    """Return the trajectories of *cell* in the order of the queries, without times."""
    there = [replace(t, timing=Timing(0.0, 0.0)) for t in read_trajectories(of.path(cell))]
    return sorted(there, key=lambda trajectory: trajectory.query.id)
