"""Run the cells one after another; one that fails leaves the others."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from tpo.errors import StoreError, TpoError
from tpo.events import Listener
from tpo.experiments.sweep.grid import Cell
from tpo.experiments.sweep.plan import SHARED, Plan
from tpo.policies.base import Policy
from tpo.rewards.base import Reward
from tpo.runs import Summary
from tpo.runs.models import Models, Relay, ready


@dataclass(frozen=True, slots=True)
class SweepModels:
    """The models of all cells: *rewards* by the name on the command line; *check* guides nothing."""

    policy: Policy
    rewards: Mapping[str, Reward]
    check: Reward | None = None
    events: Relay = field(default_factory=Relay)

    def of(self, cell: Cell) -> Models:
        """Return the models of *cell*."""
        return Models(self.policy, self.rewards[cell.reward], self.events)

    @asynccontextmanager
    async def ready(self) -> AsyncIterator[None]:
        """Check that the policy answers; close all models at the end of the block.

        Raises:
            PolicyError: it does not answer.
        """
        async with ready(self.policy, [*self.rewards.values(), self.check, self.policy]):
            yield


Watching = Callable[[Cell, int], AbstractContextManager[Listener | None]]
"""A context around the cell of a number, counted from 0; its value receives the events of the cell."""


def unwatched(cell: Cell, number: int) -> AbstractContextManager[Listener | None]:
    """Return a context without a listener."""
    del cell, number
    return nullcontext()


async def run_cells(
    plan: Plan, cells: Sequence[Cell], models: SweepModels, watching: Watching = unwatched
) -> dict[str, str]:
    """Run *cells*, or resume their runs; return the reasons of those that failed, by folder.

    What is finished is kept, and the same sweep resumes there.
    """
    if plan.fresh:
        _forget(plan)
    failures: dict[str, str] = {}
    for number, cell in enumerate(cells):
        with watching(cell, number) as listener:
            try:
                await run_cell(plan, cell, models, listener)
            except TpoError as error:
                failures[cell.folder] = str(error)
    return failures


async def run_cell(plan: Plan, cell: Cell, models: SweepModels, listener: Listener | None = None) -> Summary:
    """Run *cell*, or resume its run.

    Raises:
        TpoError: a fatal one; what is finished is kept.
    """
    return await plan.run_plan(cell).execute(models.of(cell), listener)


def _forget(plan: Plan) -> None:
    """Throw away the calls in common, so that a fresh sweep asks anew."""
    folder = plan.out / SHARED
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise StoreError(f"cannot throw {folder} away: {error.strerror}") from error
