"""One invocation of ``tpo run``: its plan, its progress, its summary."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Self

from rich.console import Console

from tpo.cli.common import interruptible
from tpo.cli.error_output import print_error, print_warning
from tpo.cli.escape import one_line, visible
from tpo.cli.event_counts import EventCounts, completions_per_query
from tpo.cli.run_progress import run_view
from tpo.cli.run_summary import TINY_NOTE, Highlights, show_changes, show_costs, show_roles, show_steps
from tpo.config import Settings, data_options
from tpo.data.sources import Spec, named
from tpo.plurals import queries
from tpo.runs import Summary
from tpo.runs.inputs import SourceInput
from tpo.runs.models import Models
from tpo.runs.plan import RunPlan
from tpo.store import RunDirectory
from tpo.tiny import examples_path


@dataclass(frozen=True, slots=True)
class Session:
    """A plan with two consoles: *talk* goes to stderr, the *result* to stdout."""

    plan: RunPlan
    talk: Console
    result: Console

    @classmethod
    def of(cls, settings: Settings, data: Spec | None, *, fresh: bool = False) -> Self:
        """Return the session for *settings* and *data*; without data, for the shipped examples.

        Raises:
            TpoError: the method is unknown, or a server does not say which model it serves.
        """
        source = data if data is not None else str(examples_path())
        given = SourceInput(source, data_options(settings))
        plan = asyncio.run(RunPlan.resolve(settings, given, fresh=fresh))
        talk = Console(stderr=True, quiet=settings.quiet, highlight=False, emoji=False)
        return cls(plan, talk, Console(file=sys.stdout, highlight=False, emoji=False))

    def execute(self) -> Summary:
        """Execute the plan and show its summary."""
        highlights = Highlights()
        with interruptible(self.talk, f"interrupted; the same command resumes {self.plan.path}"):
            complete = self.plan.is_complete()
            # Before the run's directory is made, so that a model that cannot be had leaves no trace; outside
            # of the event loop, where Ctrl-C would have to wait until the models are loaded.
            with self.talk.status("loading the models"):
                models = self.plan.load_models(complete=complete or self.plan.settings.ray is not None)
            summary = asyncio.run(self._run(models, complete, highlights))
        self._show(summary, highlights)
        return summary

    async def _run(self, models: Models, complete: bool, highlights: Highlights) -> Summary:
        plan = self.plan
        tally = EventCounts(completions_per_query(plan.method))
        async with models.ready(), plan.opened(models) as opened:
            self._introduce(opened.directory, complete)
            with run_view(self.talk, tally, quiet=plan.settings.quiet) as view:
                if plan.settings.ray is None:
                    return await opened.execute(highlights, view, earlier=highlights.add)
                from tpo.scale.driver import execute_on_ray

                return await execute_on_ray(opened, highlights, view, earlier=highlights.add)

    def _introduce(self, directory: RunDirectory, complete: bool) -> None:
        plan, settings, method, total = self.plan, self.plan.settings, self.plan.method, self.plan.data.total
        model = f" ({settings.model})" if settings.model else ""
        rewards = ", ".join(settings.reward) + (f" ({settings.combine})" if len(settings.reward) > 1 else "")
        rewards += f" behind {', '.join(settings.gate)}" if settings.gate else ""
        rewards += "" if settings.select == "reward" else f"; answers chosen by {settings.select}"
        of_all = queries(total) if total is not None else "queries"
        data = plan.data.source
        shipped = data == str(examples_path())
        shard = f", shard {settings.shard}" if settings.shard else ""
        self._say(f"{of_all} of {'the shipped examples' if shipped else named(data)}{shard}")
        self._say(
            f"{method.name}, D{method.max_iterations}-N{method.sample_size}, seed {settings.seed};"
            f" policy {', '.join(settings.policy)}{model}, reward {rewards}"
        )
        if settings.ray is not None:
            self._say(f"on Ray; workers: {settings.workers}, queries per block: {settings.block_size:,}")
        for notice in plan.notices:
            self._say(notice)
        if not directory.resumed:
            self._say(f"writing to {plan.path}")
            return
        finished = len(directory.finished)
        if complete:
            self._say(f"{plan.path}: all queries are finished; --fresh starts again")
            return
        again = f", {len(directory.failed):,} that failed are tried again" if directory.failed else ""
        count = f"{finished:,} of {queries(total)}" if total is not None else queries(finished)
        calls = directory.journal.calls
        self._say(f"resuming {plan.path}: {count} finished{again}, {calls:,} calls in the journal")

    def _say(self, sentence: str) -> None:
        self.talk.print(visible(sentence), markup=False, soft_wrap=True)

    def _show(self, summary: Summary, highlights: Highlights) -> None:
        if not self.plan.settings.quiet:
            show_steps(self.result, summary)
            show_changes(self.result, highlights)
            show_costs(self.result, summary)
            settings = self.plan.settings
            if settings.critic or settings.editor or settings.select_judge:
                show_roles(self.result, summary)
            if self.plan.settings.uses_tiny:
                self.result.print(TINY_NOTE, style="dim")
        elif summary.failures:
            print_error(f"{queries(summary.failed)} failed; {_reasons(summary)}")
        for warning in summary.warnings:
            print_warning(warning)
        self.result.print(self._last_line(summary), markup=False, soft_wrap=True)

    def _last_line(self, summary: Summary) -> str:
        failed = f", {summary.failed:,} failed (the same command tries them again)" if summary.failed else ""
        return f"{queries(summary.finished)} finished{failed}: {visible(str(self.plan.path))}"


def _reasons(summary: Summary) -> str:
    """Return the most frequent reason of failures, and how many others there are."""
    reason, count = max(summary.failures.items(), key=lambda item: item[1])
    others = len(summary.failures) - 1
    more = f" (and {others} other reasons)" if others else ""
    return f"{count:,} of them: {one_line(reason, 200)}{more}"
