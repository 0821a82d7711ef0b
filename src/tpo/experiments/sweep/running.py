"""Carries out the cells, one after another; one that fails leaves the others."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tpo.config import Settings
from tpo.errors import StoreError, TpoError
from tpo.events import Listener
from tpo.experiments.sweep.grid import Cell
from tpo.experiments.sweep.plan import SHARED, Plan
from tpo.experiments.sweep.sharing import Demand, shared
from tpo.policies.base import Policy
from tpo.rewards.base import Reward
from tpo.runs import Retries, Summary, run
from tpo.store import RunDirectory


@dataclass(frozen=True, slots=True)
class Models:
    """What cells are run with: *rewards* by the name on the command line; *check* guides nothing."""

    settings: Settings
    policy: Policy
    rewards: Mapping[str, Reward]
    check: Reward | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """Who sees a cell: hears its events, and counts what was tried again."""

    listener: Listener | None = None
    retries: Retries | None = None


Watching = Callable[[Cell, int], Iterator[Watch]]
"""A context around the cell of a number, counted from 0."""


def unwatched(cell: Cell, number: int) -> Iterator[Watch]:
    """Nobody looks."""
    del cell, number
    yield Watch()


async def run_cells(
    plan: Plan, cells: Sequence[Cell], models: Models, watching: Watching = unwatched
) -> dict[str, str]:
    """Run *cells*, or go on with them; by folder, why those that failed did so.

    What is finished is kept, and the same sweep goes on from there.
    """
    if plan.fresh:
        _forget(plan)
    failures: dict[str, str] = {}
    for number, cell in enumerate(cells):
        with contextmanager(watching)(cell, number) as watch:
            try:
                await run_cell(plan, cell, models, watch)
            except TpoError as error:
                failures[cell.folder] = str(error)
    return failures


async def run_cell(plan: Plan, cell: Cell, models: Models, watch: Watch = Watch()) -> Summary:
    """Run *cell*, or go on with it.

    Raises:
        TpoError: a fatal one; what is finished is kept.
    """
    async with _open(plan, cell) as directory:
        if not plan.shares:
            return await _run(plan, cell, models.policy, models.rewards[cell.reward], directory, watch)
        demand = Demand(plan.recipes, {query.id: query for query in plan.queries}, cell.seed)
        own = models.rewards[cell.reward]
        async with shared(plan.shared(), plan.reward_file(cell), models.policy, own, demand) as together:
            return await _run(plan, cell, *together, directory, watch)


async def _run(
    plan: Plan, cell: Cell, policy: Policy, reward: Reward, directory: RunDirectory, watch: Watch
) -> Summary:
    return await run(
        plan.queries,
        policy,
        reward,
        cell.recipe,
        directory,
        seed=cell.seed,
        concurrency=plan.settings.concurrency,
        sequences=plan.settings.sequences,
        total=len(plan.queries),
        listener=watch.listener,
        retries=watch.retries,
    )


def _open(plan: Plan, cell: Cell) -> RunDirectory:
    return RunDirectory.open(
        plan.path(cell),
        configuration=plan.configuration(cell),
        fingerprint=plan.fingerprint(cell),
        fresh=plan.fresh,
        clock=plan.clock,
    )


def _forget(plan: Plan) -> None:
    """Throw away the calls in common, so that a fresh sweep asks anew."""
    folder = plan.out / SHARED
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise StoreError(f"cannot throw {folder} away: {error.strerror}") from error
