"""One invocation of ``tpo run``: what it starts from, how it goes, and how it ends."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self
from urllib.parse import urlsplit

from rich.console import Console

from tpo.cli.live import run_view
from tpo.cli.setup import Relay, built, interruptible, ready
from tpo.cli.show import TINY_NOTE, Highlights, show_changes, show_costs, show_steps
from tpo.cli.tally import Tally, completions_per_query
from tpo.cli.text import visible
from tpo.config import Settings, Setup, make_recipe
from tpo.config.build import name_model
from tpo.config.identity import reward_identity, weights_of
from tpo.config.names import is_server
from tpo.config.settings import TINY
from tpo.counting import queries
from tpo.data import count_queries, data_digest, load_queries
from tpo.errors import PolicyRefused
from tpo.events import Listener
from tpo.methods.method import Method
from tpo.policies.function import as_policy
from tpo.rewards.base import Reward
from tpo.rewards.calibration import Scales
from tpo.rewards.function import as_reward
from tpo.runs import Retries, Summary, fingerprint, measured, run, scales_in
from tpo.store import RunDirectory, is_complete, read_run, read_trajectories
from tpo.tiny import examples_path
from tpo.types import Query


@dataclass(frozen=True, slots=True)
class Session:
    """What an invocation knows before it starts. *talk* goes to stderr, the *result* to stdout."""

    settings: Settings
    recipe: Method
    data: str
    path: Path
    fresh: bool
    talk: Console
    result: Console
    models: Callable[[Settings, Console, Listener], Setup] = built
    """Loads policy and reward, if there is work for them."""

    @classmethod
    def of(cls, settings: Settings, data: str | None, *, fresh: bool = False) -> Self:
        """The session that *settings* and *data* make; without data, over the shipped examples.

        Raises:
            TpoError: the method is unknown, or a server does not say which model it serves.
        """
        settings = asyncio.run(name_model(settings, os.environ))
        recipe = make_recipe(settings)
        source = data if data is not None else str(examples_path())
        return cls(
            settings,
            recipe,
            source,
            settings.out or Path("runs") / run_name(settings, recipe, source),
            fresh,
            Console(stderr=True, quiet=settings.quiet, highlight=False),
            Console(file=sys.stdout, highlight=False),
        )

    def carry_out(self) -> Summary:
        """Run, or go on, or find that all is done; then show what came of it."""
        heard, highlights = Relay(), Highlights()
        heard.listeners += [highlights, retries := Retries()]
        with interruptible(self.talk, f"interrupted; the same command goes on from {self.path}"):
            total = count_queries(self.data, column=self.settings.column, limit=self.settings.limit)
            complete = self._is_complete(total)
            # Before the run's directory is made, so that a model that cannot be had leaves no trace; outside
            # of the event loop, where Ctrl-C would have to wait until the models are loaded.
            setup = self._idle() if complete else self.models(self.settings, self.talk, heard)
            summary = asyncio.run(self._run(setup, total, complete, heard, retries))
        self._show(summary, highlights)
        return summary

    async def _run(
        self, setup: Setup, total: int | None, complete: bool, heard: Relay, retries: Retries
    ) -> Summary:
        settings = self.settings
        tally = Tally(completions_per_query(self.recipe))
        async with ready(setup), self._open(await self._scales(setup.reward), total) as directory:
            self._introduce(directory, total, complete)
            with run_view(self.talk, tally, quiet=settings.quiet) as view:
                heard.listeners.append(view)
                return await run(
                    self._queries(),
                    setup.policy,
                    setup.reward,
                    setup.recipe,
                    directory,
                    seed=settings.seed,
                    concurrency=settings.concurrency,
                    sequences=settings.sequences,
                    total=total,
                    listener=heard,
                    retries=retries,
                )

    def _queries(self) -> Iterable[Query]:
        return load_queries(self.data, column=self.settings.column, limit=self.settings.limit)

    def _is_complete(self, total: int | None) -> bool:
        """Whether an earlier run left nothing to do, so that no model need be loaded.

        Raises:
            StoreMismatch: the run there is of another configuration.
        """
        if self.fresh or not (self.path / "run.json").exists():
            return False
        # Without the scales, which are measured with the models: a run that is complete scores nothing.
        queries = self._queries() if total is not None else ()
        return is_complete(self.path, self._fingerprint(None), queries) and total is not None

    def _idle(self) -> Setup:
        """A setup for a run in which nothing is left to ask."""
        return Setup(self.settings, as_policy(_nobody), as_reward(_nobody), self.recipe)

    async def _scales(self, reward: Reward) -> Scales | None:
        """An ensemble's scales: of its file, or else of the run that is gone on with, or measured now."""
        from tpo.rewards.ensemble import Ensemble

        if not isinstance(reward, Ensemble):
            return None
        if not self.fresh and (self.path / "run.json").exists():
            reward.keep(scales_in(read_run(self.path).fingerprint))
        return await reward.scales()

    def _open(self, scales: Scales | None, total: int | None) -> RunDirectory:
        noted = {"data": self.data, "queries": total, "out": str(self.path)}
        return RunDirectory.open(
            self.path,
            configuration=self.settings.model_dump(mode="json") | noted,
            fingerprint=self._fingerprint(scales),
            fresh=self.fresh,
        )

    def _fingerprint(self, scales: Scales | None) -> dict[str, Any]:
        """What may not change between invocations; a server may move, its model may not."""
        settings = self.settings
        policy = settings.policy[0]
        return fingerprint(
            self.recipe,
            seed=settings.seed,
            data=data_digest(self.data),
            column=settings.column,
            policy=settings.model if is_server(policy) else policy,
            policy_extra=settings.policy_extra,
            reward=reward_identity(settings),
            **measured(weights_of(settings), scales),
        )

    def _introduce(self, directory: RunDirectory, total: int | None, complete: bool) -> None:
        settings, recipe = self.settings, self.recipe
        model = f" ({settings.model})" if settings.model else ""
        rewards = ", ".join(settings.reward) + (f" ({settings.combine})" if len(settings.reward) > 1 else "")
        of_all = queries(total) if total is not None else "queries"
        source = "the shipped examples" if self.data == str(examples_path()) else self.data
        self._say(f"{of_all} of {source}")
        self._say(
            f"{recipe.name}, D{recipe.max_iterations}-N{recipe.sample_size}, seed {settings.seed};"
            f" policy {', '.join(settings.policy)}{model}, reward {rewards}"
        )
        if not directory.resumed:
            self._say(f"writing to {self.path}")
            return
        finished = len(directory.finished)
        if complete:
            self._say(f"{self.path}: all queries are finished; --fresh starts anew")
            return
        again = f", {len(directory.failed):,} that failed are tried again" if directory.failed else ""
        count = f"{finished:,} of {queries(total)}" if total is not None else queries(finished)
        calls = directory.journal.calls
        self._say(f"resuming {self.path}: {count} finished{again}, {calls:,} calls in the journal")

    def _say(self, sentence: str) -> None:
        self.talk.print(visible(sentence), markup=False, soft_wrap=True)

    def _show(self, summary: Summary, highlights: Highlights) -> None:
        if self.settings.quiet:
            self.result.print(self._last_line(summary), markup=False, soft_wrap=True)
            return
        if not highlights:  # nothing was left to do, so what is shown is what was done earlier
            for trajectory in read_trajectories(self.path):
                highlights.add(trajectory)
        show_steps(self.result, summary)
        show_changes(self.result, highlights.changes)
        show_costs(self.result, summary)
        if self.settings.uses_tiny:
            self.result.print(TINY_NOTE, style="dim")
        self.result.print(self._last_line(summary), markup=False, soft_wrap=True)

    def _last_line(self, summary: Summary) -> str:
        failed = f", {summary.failed:,} failed (the same command tries them again)" if summary.failed else ""
        return f"{queries(summary.finished)} finished{failed}: {visible(str(self.path))}"


def _nobody(*_: object) -> NoReturn:
    """Stands for a model where nothing is left to ask."""
    raise PolicyRefused("a run that was taken for complete asked for more; please report this")


def run_name(settings: Settings, recipe: Method, data: str) -> str:
    """A directory's name that the same options give again, so that the same command resumes."""
    parts = [_slug(_stem(data)), _slug(_model_name(settings)), _slug(recipe.name)]
    shape = [f"d{recipe.max_iterations}", f"n{recipe.sample_size}", f"seed{settings.seed}"]
    return "-".join(part for part in parts + shape if part)


def _model_name(settings: Settings) -> str:
    """What tells one policy from another; nothing for the embedded one."""
    policy = settings.policy[0]
    if policy == TINY:
        return ""
    if is_server(policy):
        return (settings.model or urlsplit(policy).netloc).rpartition("/")[2]
    return policy.rstrip("/").rpartition("/")[2].removeprefix("hf:")


def _stem(data: str) -> str:
    if data.startswith("hf:"):
        return data.removeprefix("hf:")
    name = Path(data).name
    return name.partition(".")[0] or name


def _slug(text: str) -> str:
    return re.sub(r"[^\w.]+", "-", text).strip("-.")[:60]
