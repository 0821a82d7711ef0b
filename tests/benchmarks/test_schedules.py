"""What is measured is the real thing, and being fast changes no trajectory."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.simulation import SMALL, Engine, Lengths, SimulatedPolicy, SimulatedReward, run_virtual
from benchmarks.simulation.breakdown import breakdown
from benchmarks.simulation.limits import limit, unlimited
from benchmarks.simulation.models import Delivery
from benchmarks.simulation.schedules import Work, alone, reference, this_package

from tests.runs.models import by_id, essence
from tests.store.memory import memory_folder
from tpo.errors import ConfigError
from tpo.methods.catalog import build_method
from tpo.methods.optimize import Optimizer
from tpo.runs import fingerprint, run_queries
from tpo.store import RunDirectory, read_trajectories
from tpo.types import Trajectory

COUNT = 5
FEW = Work(COUNT, Lengths(), build_method("tpo", sample_size=3), replace(SMALL, sequences=8))


def simple() -> dict[str, Trajectory]:
    """One query after the other, one score after the other, no journal."""

    async def main() -> dict[str, Trajectory]:
        policy = SimulatedPolicy(Engine(FEW.hardware), FEW.lengths, "together")
        optimizer = Optimizer(policy, SimulatedReward(budget=1), FEW.recipe)
        return {query.id: essence(await optimizer.optimize(query)) for query in FEW.queries()}

    return run_virtual(main())


SIMPLE = simple()


@pytest.mark.parametrize(
    ("concurrency", "sequences", "delivery", "budget", "priority"),
    [
        (1, None, "each", 16_384, 0),
        (COUNT, None, "together", 1, 0),
        (COUNT, None, "each", 16_384, 0),
        (COUNT, None, "each", 4096, -1),
        (2, 4, "each", 16_384, 0),
        (COUNT, 8, "each", 16_384, 0),
    ],
)
def test_every_speed_path_gives_the_trajectories_of_the_simple_path(
    concurrency: int, sequences: int | None, delivery: Delivery, budget: int, priority: int
) -> None:
    async def main(folder: Path) -> None:
        engine = Engine(FEW.hardware)
        policy = SimulatedPolicy(engine, FEW.lengths, delivery, lambda scope: priority * scope.step)
        shape = fingerprint(FEW.recipe, seed=7, data=None)
        async with RunDirectory.open(folder, configuration={}, fingerprint=shape) as directory:
            reward = SimulatedReward(budget=budget)
            await run_queries(
                FEW.queries(),
                policy,
                reward,
                FEW.recipe,
                directory,
                concurrency=concurrency,
                sequences=sequences,
            )

    with memory_folder() as folder:
        run_virtual(main(folder))
        assert by_id(read_trajectories(folder)) == SIMPLE


@pytest.mark.parametrize("overlaps", [False, True])
def test_no_schedule_beats_the_limit(overlaps: bool) -> None:
    work = replace(FEW, hardware=replace(FEW.hardware, overlaps=overlaps))
    least = run_virtual(alone(replace(work, hardware=unlimited(work.hardware))))
    bound = limit(work.hardware, least)
    ours = run_virtual(this_package(work, concurrency=COUNT))
    assert bound.joint <= ours.seconds
    assert ours.engine.written_tokens == least.engine.written_tokens


def test_the_references_schedule_leaves_a_wide_engine_idle() -> None:
    wide = replace(FEW, count=12, hardware=SMALL)
    ours = run_virtual(this_package(wide, concurrency=12))
    theirs = run_virtual(reference(replace(wide, recipe=build_method("paper", sample_size=3))))
    assert theirs.seconds > 1.5 * ours.seconds


@pytest.mark.parametrize(("delivery", "most"), [("each", 1.05), ("together", 1.07)])
def test_many_queries_come_near_the_limit(delivery: Delivery, most: float) -> None:
    work = Work(60, Lengths(), build_method("tpo", sample_size=3), replace(SMALL, sequences=12))
    least = run_virtual(alone(replace(work, hardware=unlimited(work.hardware))))
    bound = limit(work.hardware, least)
    ours = run_virtual(this_package(work, concurrency=24, sequences=12, delivery=delivery))
    assert ours.seconds <= most * bound.seconds
    lost = breakdown(work.hardware, ours, least)
    empty = sum(lost[f"empty_{part}_s"] for part in ("start", "between", "end"))
    assert 0 <= empty <= ours.seconds - ours.engine.sequence_seconds / 12 + 0.2


def test_a_simulation_repeats_to_the_last_digit() -> None:
    first, second = (run_virtual(this_package(FEW, concurrency=3)).seconds for _ in range(2))
    assert first == second


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"concurrency": 2, "reward_budget": 0}])
def test_a_bound_of_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        run_virtual(this_package(FEW, **wrong))


def test_the_growing_conversation_computes_least() -> None:
    computed = {
        layout: run_virtual(alone(replace(FEW, recipe=build_method(layout)))).engine.computed_tokens
        for layout in ("tpo", "fused", "paper")
    }
    assert computed["fused"] <= computed["tpo"] < 0.45 * computed["paper"]
