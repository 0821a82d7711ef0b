"""``python run.py …``: the reference's flags and files; this package's loop, store and models."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import NoReturn

from rich.console import Console

from tpo.contrib.reference.arguments import Arguments, parse
from tpo.contrib.reference.context import ContextBound
from tpo.contrib.reference.files import Files
from tpo.contrib.reference.models import make_policy, make_recipe, make_reward, reward_name
from tpo.contrib.reference.progress import progress_bar
from tpo.contrib.reference.saving import Saving
from tpo.contrib.reference.work import Work, read_work
from tpo.data import data_digest
from tpo.errors import PolicyRefused, StoreMismatch, TpoError
from tpo.events import Event, Listener
from tpo.policies.base import Policy
from tpo.policies.function import as_policy
from tpo.rewards.base import Reward
from tpo.rewards.function import as_reward
from tpo.runs import Summary, fingerprint, run
from tpo.store import RunDirectory

DONE, SOME_FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code: 1 if queries failed, 2 if nothing could work, 130 after Ctrl-C."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    parsed = parse(arguments)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    started = time.monotonic()
    code = carry_out(parsed, Files.of(parsed), console, os.environ)
    sys.stdout.write(f"ELAPSED TIME: {time.monotonic() - started:.4f} SECONDS\n")
    return code


def carry_out(arguments: Arguments, files: Files, console: Console, environment: Mapping[str, str]) -> int:
    """Do what *arguments* say, tell *console* what came of it, and give the exit code."""
    try:
        work = read_work(arguments.data_path, files)
        directory = open_run(arguments, files)
        _introduce(work, directory, files, console)
        summary = _optimize(arguments, files, work, directory, console, environment)
    except TpoError as error:
        _say(console, f"error: {error}", "red")
        return WRONG
    except KeyboardInterrupt:
        _say(console, f"interrupted; the same command goes on from {files.run}")
        return INTERRUPTED
    _conclude(summary, files, console)
    return SOME_FAILED if summary.failed else DONE


def open_run(arguments: Arguments, files: Files) -> RunDirectory:
    """The run's directory beside the result file.

    Raises:
        StoreMismatch: what is there was made by other values than *arguments*.
    """
    shape = fingerprint(
        make_recipe(arguments),
        seed=arguments.seed,
        data=data_digest(arguments.data_path),
        policy=arguments.model,
        reward=reward_name(arguments),
        max_tokens_all=arguments.max_tokens_all,
    )
    configuration = asdict(arguments) | {"output_path": str(arguments.output_path)}
    try:
        return RunDirectory.open(files.run, configuration=configuration, fingerprint=shape)
    except StoreMismatch as error:
        raise StoreMismatch(f"{error}\n(here: another --output_path, or remove {files.run})") from error


def _optimize(
    arguments: Arguments,
    files: Files,
    work: Work,
    directory: RunDirectory,
    console: Console,
    environment: Mapping[str, str],
) -> Summary:
    policy: Policy = as_policy(_nobody)
    reward: Reward = as_reward(_nobody)
    with progress_bar(console) as show:
        try:
            if len(directory.finished) < work.total:
                # Outside of the event loop, where Ctrl-C would have to wait until the model is loaded.
                policy, reward = make_policy(arguments, environment, show), make_reward(arguments)
        except BaseException:
            asyncio.run(directory.close())
            raise
        return asyncio.run(optimize(arguments, files, work, directory, policy, reward, show))


async def optimize(
    arguments: Arguments,
    files: Files,
    work: Work,
    directory: RunDirectory,
    policy: Policy,
    reward: Reward,
    show: Listener,
) -> Summary:
    """Run the queries that are left, the files following; then close *directory*, *policy* and *reward*."""
    started = directory.record.started or directory.now()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(directory)
        for model in (policy, reward):
            if hasattr(model, "aclose"):
                stack.push_async_callback(model.aclose)
        saving = await stack.enter_async_context(Saving(lambda: files.write(work.order, started)))
        if isinstance(policy, ContextBound):
            await policy.check()

        def listen(event: Event) -> None:
            saving(event)
            show(event)

        return await run(
            work.queries(),
            policy,
            reward,
            make_recipe(arguments),
            directory,
            seed=arguments.seed,
            concurrency=arguments.num_threads,
            total=work.total,
            listener=listen,
        )


def _nobody(*_: object) -> NoReturn:
    """Stands for the models where nothing is left to ask, so that none need be loaded."""
    raise PolicyRefused("a finished run asked for more; please report this")


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
