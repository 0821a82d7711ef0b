"""From a command's flags to built objects, and their orderly end."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import typer
from rich.console import Console

from tpo.config import Settings, Setup, build, load_settings

INTERRUPTED = 130
"""What shells expect of a command that Ctrl-C ended."""


def settings_of(flags: Mapping[str, object], config: Path | None) -> Settings:
    """The settings that a command's *flags* make with the environment and the file *config*."""
    given = {name: value for name, value in flags.items() if name in Settings.model_fields}
    return load_settings(given, os.environ, config)


def built(settings: Settings, console: Console) -> Setup:
    """What *settings* name, loaded; *console* says so on a terminal, since a large model takes its time."""
    with console.status("loading the models"):
        return build(settings, os.environ)


@asynccontextmanager
async def closing(setup: Setup) -> AsyncIterator[None]:
    """Close connections and threads of policy and reward at the end, if they hold any."""
    async with AsyncExitStack() as stack:
        for part in (setup.reward, setup.policy):
            close = getattr(part, "aclose", None)
            if close is not None:
                stack.push_async_callback(close)
        yield


@contextmanager
def interruptible(console: Console, sentence: str) -> Iterator[None]:
    """Ctrl-C ends the command with *sentence* instead of a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(sentence, markup=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
