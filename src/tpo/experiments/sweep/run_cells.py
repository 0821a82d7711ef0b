"""Run the cells of a sweep one after another; a cell that fails does not stop the others."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from tpo.errors import StoreError, TpoError
from tpo.events import Listener
from tpo.experiments.cells import Cell
from tpo.experiments.sweep.plan import SHARED, SweepPlan
from tpo.policies.base import Policy
from tpo.rewards.base import Reward
from tpo.runs import Summary
from tpo.runs.models import Models, Relay, ready


@dataclass(frozen=True, slots=True)
class SweepModels:
    """Models of all cells: *rewards* by their names on the command line; *check* is the held-out reward."""

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


ListenerFactory = Callable[[Cell, int], AbstractContextManager[Listener | None]]
"""Context around a cell, called with the cell and its number from 0; its value receives the cell's events."""


def _no_listener(cell: Cell, number: int) -> AbstractContextManager[Listener | None]:
    """Return a context without a listener."""
    del cell, number
    return nullcontext()


async def run_cells(
    plan: SweepPlan, cells: Sequence[Cell], models: SweepModels, listening: ListenerFactory = _no_listener
) -> dict[str, str]:
    """Run *cells*, or resume their runs; return the reasons of those that failed, by folder.

    Finished queries are kept, and the same sweep resumes.
    """
    if plan.fresh:
        _delete_shared_calls(plan)
    failures: dict[str, str] = {}
    for number, cell in enumerate(cells):
        with listening(cell, number) as listener:
            try:
                await _run_cell(plan, cell, models, listener)
            except TpoError as error:
                failures[cell.folder] = str(error)
    return failures


async def _run_cell(
    plan: SweepPlan, cell: Cell, models: SweepModels, listener: Listener | None = None
) -> Summary:
    """Run *cell*, or resume its run.

    Raises:
        TpoError: a fatal error; finished queries are kept.
    """
    return await plan.run_plan(cell).execute(models.of(cell), listener)


def _delete_shared_calls(plan: SweepPlan) -> None:
    folder = plan.out / SHARED
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise StoreError(f"cannot delete {folder}: {error.strerror}") from error
