"""Shared parts of commands: settings from flags, and Ctrl-C."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from tpo.cli.options import Given
from tpo.config import Settings, load_axes, load_settings
from tpo.config.settings import OPTIONS

if TYPE_CHECKING:
    from tpo.runs import Summary

SOME_FAILED, NO_SERVER, NO_REWARD = 1, 3, 4
"""Some queries failed; all did, most of them because of the policy's server; because of the reward."""
INTERRUPTED = 130
"""Exit code of an interrupted command."""


def settings_of(given: Given) -> Settings:
    """Load the settings of a command line with the environment and its file."""
    return load_settings(given.flags, os.environ, given.config, _note, given.defaults)


def axes_of(
    flags: Mapping[str, Any],
    config: Path | None,
    several: Collection[str],
    defaults: Mapping[str, Any] | None = None,
) -> tuple[Settings, Mapping[str, tuple[Any, ...]]]:
    """Load the settings among a command's *flags*, and all values of *several* of them.

    *defaults* are those of the command, a tuple for each of *several*.
    """
    given = {name: value for name, value in flags.items() if name in OPTIONS}
    return load_axes(given, os.environ, config, several, _note, defaults)


def exit_code(summary: Summary) -> int:
    """Return the exit code of a run; where no query finished, it tells the kind of most failures."""
    if not summary.failed:
        return 0
    kind = max(summary.failure_kinds, key=lambda name: summary.failure_kinds[name], default="")
    codes = {"server": NO_SERVER, "reward": NO_REWARD}
    return SOME_FAILED if summary.finished else codes.get(kind, SOME_FAILED)


def bench_directory_name(benchmark: str, model: str) -> str:
    """Return a directory's name that the same options give again, so that the same command resumes."""
    return re.sub(r"[^\w.]+", "-", f"bench-{benchmark}-{model}")[:100].strip("-.")


@contextmanager
def interruptible(console: Console, sentence: str) -> Iterator[None]:
    """Ctrl-C ends the command with *sentence* instead of a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(sentence, markup=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


def _note(sentence: str) -> None:
    from tpo.cli.escape import echo

    echo(f"note: {sentence}", err=True)
