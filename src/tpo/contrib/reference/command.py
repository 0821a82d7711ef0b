"""``python run.py …``: the reference's flags and files; this package's loop, store and models."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.console import Console

from tpo.config import make_method
from tpo.contrib.reference.arguments import Arguments, parse
from tpo.contrib.reference.file_saver import Saving
from tpo.contrib.reference.files import Files
from tpo.contrib.reference.models import make_policy, make_reward, make_settings, reward_name
from tpo.contrib.reference.progress import progress_bar
from tpo.contrib.reference.remaining import Work, read_work
from tpo.data import data_digest
from tpo.errors import StoreMismatch, TpoError
from tpo.events import Listener
from tpo.runs import Summary
from tpo.runs.inputs import QueryInput
from tpo.runs.models import Models, Relay
from tpo.runs.plan import RunPlan
from tpo.store import RunDirectory

DONE, SOME_FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code: 1 if queries failed, 2 if nothing could work, 130 after Ctrl-C."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    parsed = parse(arguments)
    console = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
    started = time.monotonic()
    code = execute(parsed, Files.of(parsed), console, os.environ)
    sys.stdout.write(f"ELAPSED TIME: {time.monotonic() - started:.4f} SECONDS\n")
    return code


def execute(arguments: Arguments, files: Files, console: Console, environment: Mapping[str, str]) -> int:
    """Do what *arguments* say, tell *console* what came of it, and give the exit code."""
    try:
        work = read_work(arguments.data_path, files)
        plan = run_plan(arguments, files, work, environment)
        # Outside of the event loop, where Ctrl-C would have to wait until the model is loaded.
        models = plan.load_models()
        with progress_bar(console) as show:
            summary = asyncio.run(optimize(plan, models, files, work, console, show))
    except StoreMismatch as error:
        _say(console, f"error: {error}\n(here: another --output_path, or remove {files.run})", "red")
        return WRONG
    except TpoError as error:
        _say(console, f"error: {error}", "red")
        return WRONG
    except KeyboardInterrupt:
        _say(console, f"interrupted; the same command resumes {files.run}")
        return INTERRUPTED
    _conclude(summary, files, console)
    return SOME_FAILED if summary.failed else DONE


def run_plan(arguments: Arguments, files: Files, work: Work, environment: Mapping[str, str]) -> RunPlan:
    """Return the run of *work*; its directory lies beside the result file."""

    def load(events: Relay) -> Models:
        return Models(make_policy(arguments, environment, events), make_reward(arguments), events)

    settings = make_settings(arguments)
    return RunPlan(
        settings=settings,
        method=make_method(settings),
        data=QueryInput(arguments.data_path, work, data_digest(arguments.data_path), work.total),
        path=files.run,
        load=load,
        # The fingerprint of the runs of earlier versions: a server's address is part of its reward's name.
        identity={
            "reward": reward_name(arguments),
            "max_tokens_all": arguments.max_tokens_all,
            "policy_extra": None,
            "column": None,
        },
        configuration=asdict(arguments) | {"output_path": str(arguments.output_path)},
    )


async def optimize(
    plan: RunPlan, models: Models, files: Files, work: Work, console: Console, show: Listener
) -> Summary:
    """Run the queries that are left, the files following; then close *models*."""
    async with models.ready(), plan.opened(models) as opened:
        _introduce(work, opened.directory, files, console)
        started = opened.directory.record.started or opened.directory.now()
        async with Saving(lambda: files.write(work.order, started)) as saving:
            return await opened.execute(saving, show)


def _introduce(work: Work, directory: RunDirectory, files: Files, console: Console) -> None:
    if work.carried:
        _say(console, f"{len(work.carried):,} queries have their results in {files.result.name} already")
    if directory.resumed:
        done, failed = len(directory.finished), len(directory.failed)
        again = f", {failed:,} that failed are tried again" if failed else ""
        _say(console, f"going on: {done:,} of {work.total:,} queries are finished{again}")


def _conclude(summary: Summary, files: Files, console: Console) -> None:
    lost = sum(step.malformed for step in summary.by_step)
    if lost:
        _say(console, f"{lost:,} updates held no response; they are kept in {files.run.name}")
    for reason, count in summary.failures.items():
        _say(console, f"{count:,} queries failed: {reason}", "red")
    _say(console, f"rewards: {files.result}\nanswers: {files.answers}")


def _say(console: Console, sentence: str, style: str = "") -> None:
    """Print *sentence*; signs that would steer the terminal (it may quote a server) as their codes."""
    shown = "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in sentence)
    console.print(shown, markup=False, style=style)
