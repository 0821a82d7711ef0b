"""OpenRun: a run whose directory is open."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpo.config import fallback_of
from tpo.events import Listener
from tpo.methods.selection import Selection
from tpo.methods.stopping import StoppingRule
from tpo.runs.models import Models
from tpo.runs.retries import Retries
from tpo.runs.runner import run_queries
from tpo.runs.summary import Summary
from tpo.store import RunDirectory
from tpo.types import Trajectory

if TYPE_CHECKING:
    from tpo.runs.plan import RunPlan


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run whose directory is open."""

    plan: RunPlan
    models: Models
    directory: RunDirectory
    rules: tuple[StoppingRule, ...]
    selection: Selection

    async def execute(
        self, *listeners: Listener, earlier: Callable[[Trajectory], None] | None = None
    ) -> Summary:
        """Run the unfinished queries; *listeners* receive every event. Retries are counted for the record.

        *earlier* receives the trajectories that earlier invocations finished, unless a large run has nothing
        to do.

        Raises:
            TpoError: a fatal one; what is finished is kept.
        """
        plan, settings, models, retries = self.plan, self.plan.settings, self.models, Retries()
        unwrapped = nullcontext((models.policy, models.scorer))
        wrapped = unwrapped if plan.wrap is None else plan.wrap(models.policy, models.scorer)
        with models.events.forwarding(retries, *listeners):
            async with wrapped as (policy, reward):
                return await run_queries(
                    plan.queries,
                    policy,
                    reward,
                    plan.method,
                    self.directory,
                    seed=settings.seed,
                    stopping=self.rules,
                    fallback=fallback_of(settings),
                    selection=self.selection,
                    concurrency=settings.concurrency,
                    sequences=settings.sequences,
                    total=plan.data.total,
                    listener=models.events,
                    retries=retries,
                    earlier=earlier,
                )
