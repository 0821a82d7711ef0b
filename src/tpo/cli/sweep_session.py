"""One invocation of ``tpo sweep``: from flags to a plan, carried out and shown."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

from rich.console import Console

from tpo.cli.common import axes_of, interruptible
from tpo.cli.escape import visible
from tpo.cli.event_counts import EventCounts, completions_per_query
from tpo.cli.options import SWEPT
from tpo.cli.prices import prices_of_flags
from tpo.cli.run_progress import run_view
from tpo.config import Settings, check_of, name_model, policy_name, policy_of, reward_of
from tpo.config.specs import require_held_out
from tpo.data.sources import Spec, named, single_or_several
from tpo.errors import ConfigError, RewardError
from tpo.events import Listener
from tpo.experiments.cells import Cell, slug
from tpo.experiments.plan import locked_directory
from tpo.experiments.sweep.costs import cost_measures
from tpo.experiments.sweep.grid import Axes, sweep_cells
from tpo.experiments.sweep.held_out import HeldOutScores
from tpo.experiments.sweep.plan import (
    SweepPlan,
    load_data,
    require_one_model,
    require_own_first_samples,
    require_own_time,
)
from tpo.experiments.sweep.results import RESULTS, Outcome, write_results
from tpo.experiments.sweep.run_cells import ListenerFactory, SweepModels, run_cells
from tpo.experiments.sweep.tables import equal_cost_table, sweep_table
from tpo.plurals import queries
from tpo.report.overview import TINY_NOTE
from tpo.rewards.base import Reward
from tpo.runs.models import Relay
from tpo.types import Trajectory

T = TypeVar("T")
Flags = Mapping[str, Any]


def _loaded(plan: SweepPlan, console: Console) -> SweepModels:
    """Load every model of *plan*, so that one that cannot be had is known before any work."""
    events = Relay()
    with console.status("loading the models"):
        rewards = {
            name: reward_of(_with_reward(plan.settings, name), os.environ, events) for name in plan.rewards
        }
        held_out = None if plan.check_reward is None else _load_check(plan, events)
        policy = policy_of(plan.settings, os.environ, events)
    return SweepModels(policy, rewards, held_out, events)


def _load_check(plan: SweepPlan, listener: Listener | None = None) -> Reward:
    """The reward of *plan* that guides nothing."""
    check = check_of(replace(plan.settings, check_reward=plan.check_reward), os.environ, listener)
    assert check is not None  # noqa: S101 - asked for only where there is one
    return check


@dataclass(frozen=True, slots=True)
class SweepSession:
    """A plan, and what it is carried out with. *talk* goes to stderr, the *result* to stdout."""

    plan: SweepPlan
    talk: Console
    result: Console
    models: Callable[[SweepPlan, Console], SweepModels] = _loaded

    @classmethod
    def of(cls, names: Sequence[str], flags: Flags, config: Path | None) -> Self:
        """Return the sweep that the command line *flags* describe, without a call to a model.

        Raises:
            TpoError: an option or the data is wrong, or a server does not say which model it serves.
        """
        data = single_or_several(names)
        settings, lists = axes_of(flags, config, SWEPT)
        # It is no part of the cells' settings: it scores afterwards.
        held_out, settings = settings.check_reward, replace(settings, check_reward=None)
        axes = Axes(
            methods=lists["method"],
            samples=lists["sample_size"],
            iterations=lists["max_iterations"],
            rewards=settings.reward,
            seeds=lists["seed"],
            pool=flags["pool"],
        )
        prices = prices_of_flags(flags)
        costs = cost_measures(flags["cost"].split(","), prices, flags["parameters"])
        # Before a server is asked for its model's name.
        require_held_out(held_out, (*axes.rewards, *settings.gate))
        require_own_time(costs, shares=not flags["no_share"])
        require_one_model(costs, settings)
        require_own_first_samples(settings)
        sweep_cells(settings, axes)
        queries, digest = load_data(data, settings)
        settings = asyncio.run(name_model(settings, os.environ))
        plan = SweepPlan(
            settings=settings,
            source=named(data),
            queries=queries,
            digest=digest,
            cells=sweep_cells(settings, axes),
            out=settings.out or Path("runs") / sweep_directory_name(data, settings),
            check_reward=held_out,
            shares=not flags["no_share"],
            fresh=flags["fresh"],
            figures=not flags["no_figures"],
            page=not flags["no_page"],
            costs=costs,
            budgets=budgets_of(flags["budget"]),
        )
        console = Console(stderr=True, quiet=settings.quiet, highlight=False, emoji=False)
        return cls(plan, console, Console(file=sys.stdout, highlight=False, emoji=False))

    def execute(self) -> int:
        """Run the cells, check, sum up and show; how many runs are not whole."""
        plan = self.plan
        record = self.carried(lambda outcome: write_results(plan, outcome))
        self._show(record)
        return sum(1 for cell in record["cells"] if cell["error"] or cell["finished"] < len(plan.queries))

    def carried(self, finish: Callable[[Outcome], T]) -> T:
        """Run the cells and score them; return what *finish* makes of it before the directory is unlocked."""
        plan = self.plan
        with interruptible(self.talk, f"interrupted; the same command goes on from {plan.out}"):
            plan.check()
            todo = plan.incomplete_cells()
            with locked_directory(plan.out):
                self._introduce(todo)
                return finish(self._worked(todo))

    def _worked(self, todo: Sequence[Cell]) -> Outcome:
        # Outside of the event loop, where Ctrl-C would have to wait until the models are loaded.
        models = self.models(self.plan, self.talk) if todo else None
        return asyncio.run(self._work(todo, models))

    async def _work(self, todo: Sequence[Cell], models: SweepModels | None) -> Outcome:
        async with nullcontext() if models is None else models.ready():
            failures = {}
            if models is not None:
                failures = await run_cells(self.plan, todo, models, self._watching(len(todo)))
            return await self._checked(failures, models)

    async def _checked(self, failures: Mapping[str, str], models: SweepModels | None) -> Outcome:
        plan = self.plan
        if plan.check_reward is None:
            return Outcome(failures)
        held_out = HeldOutScores(plan.held_out_file(), plan.held_out_columns())
        try:
            if held_out.is_complete(self._trajectories()):
                return Outcome(failures, held_out)
            self.say(f"held-out reward {plan.check_reward}")
            reward = models.check if models is not None and models.check is not None else _load_check(plan)
            try:
                await held_out.score(self._trajectories(), reward, concurrency=plan.settings.concurrency)
            except RewardError as error:
                self.say(str(error))
                return Outcome(failures, held_out, str(error))
            return Outcome(failures, held_out)
        finally:
            await held_out.close()

    def _trajectories(self) -> Iterator[Trajectory]:
        for cell in self.plan.cells:
            yield from self.plan.finished_trajectories(cell)

    def _watching(self, count: int) -> ListenerFactory:
        @contextmanager
        def watching(cell: Cell, number: int) -> Iterator[Listener]:
            self.say(f"run {number + 1} of {count}: {cell.label}, seed {cell.seed}, reward {cell.reward}")
            tally = EventCounts(completions_per_query(cell.method))
            with run_view(self.talk, tally, quiet=self.plan.settings.quiet) as view:
                yield view

        return watching

    def _introduce(self, todo: Sequence[Cell]) -> None:
        plan = self.plan
        held = f", held-out reward {plan.check_reward}" if plan.check_reward else ""
        self.say(f"{queries(len(plan.queries))} of {plan.source}, {len(plan.cells):,} runs")
        self.say(f"policy {policy_name(plan.settings)}, reward {', '.join(plan.rewards)}{held}")
        done = len(plan.cells) - len(todo)
        self.say(f"writing to {plan.out}" + (f"; {done:,} runs are finished" if done else ""))

    def _show(self, record: Mapping[str, Any]) -> None:
        parts = [sweep_table(record)]
        if record["at_equal_cost"]:
            parts += ["At equal cost, the first minus the second:", equal_cost_table(record)]
        for cell in record["cells"]:
            if cell["error"]:
                parts.append(f"{cell['run']} failed: {cell['error']}")
        parts += [f"Warning: {text}" for text in record["effect"]]
        if record["tiny"]:
            parts.append(TINY_NOTE)
        figures = ", figures/" if record["files"] else ""
        page = f", {record['page']}" if record["page"] else ""
        parts.append(f"{self.plan.out}/{RESULTS}, sweep.md, sweep.tex, sweep.csv{figures}{page}")
        self.result.print(visible("\n\n".join(parts)), markup=False, soft_wrap=True)

    def say(self, sentence: str) -> None:
        """Show *sentence* on stderr, unless the command is quiet."""
        self.talk.print(visible(sentence), markup=False, soft_wrap=True)


def sweep_directory_name(data: Spec, settings: Settings) -> str:
    """A directory's name that the same options give again, so that the same command resumes."""
    first, others = (data, 0) if isinstance(data, str) else (data[0], len(data) - 1)
    stem = slug(Path(first.removeprefix("hf:")).name.partition(".")[0] or first)
    stem += f"-and-{others}-more" if others else ""
    return f"sweep-{stem}-{slug(policy_name(settings).rstrip('/').rpartition('/')[2])}"


def budgets_of(text: str | None) -> tuple[float, ...]:
    """Return the numbers between the commas of ``--budget``, ascending.

    Raises:
        ConfigError: one of them is no positive number.
    """
    try:
        found = sorted({float(part) for part in (text or "").split(",") if part.strip()})
    except ValueError:
        raise ConfigError(f"--budget {text}: not numbers between commas, such as 1500,3000") from None
    if any(not 0 < each < float("inf") for each in found):
        raise ConfigError(f"--budget {text}: each must be above 0")
    return tuple(found)


def _with_reward(settings: Settings, name: str) -> Settings:
    return replace(settings, reward=(name,))
