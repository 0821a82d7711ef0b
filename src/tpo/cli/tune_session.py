"""One invocation of ``tpo tune``: a sweep over a sample, and the choice from its configurations."""

from __future__ import annotations

import asyncio
import os
import random
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from rich.console import Console

from tpo.cli.common import axes_of
from tpo.cli.escape import visible
from tpo.cli.options import TUNE_DEFAULTS, TUNED
from tpo.cli.prices import prices_of_flags
from tpo.cli.sweep_session import SweepSession, sweep_directory_name
from tpo.config import name_model, stopping_identity
from tpo.config.specs import require_held_out
from tpo.errors import ConfigError
from tpo.experiments.sweep.arms import make_arms
from tpo.experiments.sweep.costs import SECONDS, cost_measures
from tpo.experiments.sweep.grid import Axes, sweep_cells
from tpo.experiments.sweep.plan import (
    SweepPlan,
    load_data,
    require_one_model,
    require_own_first_samples,
)
from tpo.experiments.sweep.results import Outcome, on_shared_queries
from tpo.experiments.tune.choice import choose
from tpo.experiments.tune.results import tune_notes, tune_tables, write_tune
from tpo.report.overview import TINY_NOTE
from tpo.types import Query

Flags = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TuneSession:
    """A sweep over a sample, and the budget of the choice."""

    sweeping: SweepSession
    budget: float | None

    @classmethod
    def of(cls, data: str, flags: Flags, config: Path | None) -> Self:
        """Return the tuning that the command line *flags* describe, without a call to a model.

        Raises:
            TpoError: an option or the data is wrong, or a server does not say which model it serves.
        """
        settings, lists = axes_of(flags, config, TUNED, TUNE_DEFAULTS)
        if len(settings.reward) != 1:
            raise ConfigError(
                "tpo tune takes one --reward: configurations of two rewards have no common scale"
            )
        prices = prices_of_flags(flags)
        costs = cost_measures([flags["cost"]], prices, flags["parameters"])
        if SECONDS in costs:
            raise ConfigError("--cost seconds: configurations that share a run have no time of their own")
        require_one_model(costs, settings)
        require_own_first_samples(settings)
        # It is no part of the cells' settings: it scores afterwards.
        held_out, settings = settings.check_reward, replace(settings, check_reward=None)
        require_held_out(held_out, (*settings.reward, *settings.gate))
        axes = Axes(
            methods=lists["method"],
            samples=lists["sample_size"],
            iterations=(settings.max_iterations,),
            rewards=settings.reward,
            seeds=(settings.seed,),
            pool=flags["pool"],
        )
        sweep_cells(settings, axes)
        queries, digest = load_data(data, settings)
        sampled = sample_queries(queries, flags["sample"], settings.seed)
        settings = asyncio.run(name_model(settings, os.environ))
        plan = SweepPlan(
            settings=settings,
            source=data,
            queries=sampled,
            digest=digest if len(sampled) == len(queries) else f"{digest} sample of {len(sampled)}",
            cells=sweep_cells(settings, axes),
            out=settings.out or Path("runs") / f"tune-{sweep_directory_name(data, settings)}",
            check_reward=held_out,
            fresh=flags["fresh"],
            figures=False,
            page=False,
            costs=costs,
        )
        talk = Console(stderr=True, quiet=settings.quiet, highlight=False, emoji=False)
        return cls(
            SweepSession(plan, talk, Console(file=sys.stdout, highlight=False, emoji=False)), flags["budget"]
        )

    def execute(self) -> int:
        """Run the sweep, choose and show; return how many runs are not whole."""
        plan = self.sweeping.plan
        for sentence in _planned_cost(plan):
            self.sweeping.say(sentence)
        record, incomplete = self.sweeping.carried(self._chosen)
        parts = [TINY_NOTE] if record["tiny"] else []
        parts += [tune_tables(record), *(f"- {note}" for note in tune_notes(record)), "Use:"]
        parts.append(shlex.join(record["command"]))
        self.sweeping.result.print(visible("\n\n".join(parts)), markup=False, soft_wrap=True)
        return incomplete

    def _chosen(self, outcome: Outcome) -> tuple[dict[str, Any], int]:
        plan = self.sweeping.plan
        held_out = None if outcome.held_out is None else outcome.held_out.value
        arms, apart = on_shared_queries(
            make_arms(plan.cells, plan.queries, plan.finished_trajectories, held_out)
        )
        compared = [arm for arm in arms if arm not in apart and arm.results]
        if not compared:
            reasons = list(outcome.failures.values())
            raise ConfigError("no query was finished by every run" + (f": {reasons[0]}" if reasons else ""))
        runs = {
            cell.label: {run.query.id: run for run in plan.finished_trajectories(cell) if run.initial}
            for cell in plan.cells
        }
        given = stopping_identity(plan.settings)
        choice = choose(compared, plan.costs[0], runs, self.budget, held_out, without=given)
        missing = sum(1 for cell in plan.cells if cell.folder in outcome.failures)
        return write_tune(plan, choice, self.budget), missing


def sample_queries(queries: Sequence[Query], count: int, seed: int) -> tuple[Query, ...]:
    """Return *count* of *queries*, drawn at random with *seed*, in their order; all if they are fewer."""
    if count >= len(queries):
        return tuple(queries)
    drawn = random.Random(seed).sample(range(len(queries)), count)  # noqa: S311 - no secret
    return tuple(queries[place] for place in sorted(drawn))


def _planned_cost(plan: SweepPlan) -> Iterator[str]:
    """Yield sentences that say how much is left to do, at most."""
    count = len(plan.queries)
    todo = plan.incomplete_cells()
    costs = [cell.method.cost(cell.method.sample_size, cell.method.max_iterations) for cell in todo]
    calls, completions = sum(each.calls for each in costs), sum(each.completions for each in costs)
    scores = sum(each.scores for each in costs)
    yield (
        f"at most {calls * count:,} policy calls with {completions * count:,} completions, and"
        f" {scores * count:,} rewards of whole responses, for {len(todo):,} runs of {count:,} queries"
    )
    limit = plan.settings.max_tokens
    written = completions * count * limit
    yield f"at most {written:,} completion tokens, if each reaches its limit of {limit:,}"
    (measure,) = plan.costs
    if measure.name == "money":
        spent = max(each.of(0.0, written, 0.0) for each in (measure, *measure.roles.values()))
        yield f"at most {spent:,.4g} {measure.unit} for these; prompts and rewards are not in it"
    if plan.check_reward is not None and todo:
        steps = sum(cell.method.sample_size + cell.method.max_iterations for cell in todo)
        yield f"at most {steps * count:,} scores of the held-out reward"
