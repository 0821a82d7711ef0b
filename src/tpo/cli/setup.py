"""From a command's flags to built objects, ready to work, and their orderly end."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from tpo.cli.options import Given
from tpo.config import Settings, Setup, build, load_axes, load_settings
from tpo.config.settings import OPTIONS
from tpo.events import Event, Listener

INTERRUPTED = 130
"""What shells expect of a command that Ctrl-C ended."""


class Relay:
    """A listener that tells others, who may come later than what they listen to."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []

    def __call__(self, event: Event) -> None:
        """Tell all, in the order in which they came."""
        for listener in self.listeners:
            listener(event)


def settings_of(given: Given) -> Settings:
    """Load the settings of a command line with the environment and its file."""
    return load_settings(given.flags, os.environ, given.config, _note)


def axes_of(
    flags: Mapping[str, Any], config: Path | None, several: Collection[str]
) -> tuple[Settings, Mapping[str, tuple[Any, ...]]]:
    """Load the settings among a command's *flags*, and all values of *several* of them."""
    given = {name: value for name, value in flags.items() if name in OPTIONS}
    return load_axes(given, os.environ, config, several, _note)


def built(settings: Settings, console: Console, listener: Listener) -> Setup:
    """What *settings* name, loaded; *console* says so on a terminal, since a large model takes its time."""
    with console.status("loading the models"):
        return build(settings, os.environ, listener)


@asynccontextmanager
async def ready(setup: Setup) -> AsyncIterator[None]:
    """Check that the policy answers, so that a wrong key is known at once; close everything at the end."""
    async with AsyncExitStack() as stack:
        for part in (setup.reward, setup.policy):
            close = getattr(part, "aclose", None)
            if close is not None:
                stack.push_async_callback(close)
        check = getattr(setup.policy, "check", None)
        if check is not None:
            await check()
        yield


@contextmanager
def interruptible(console: Console, sentence: str) -> Iterator[None]:
    """Ctrl-C ends the command with *sentence* instead of a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(sentence, markup=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


def _note(sentence: str) -> None:
    typer.echo(f"note: {sentence}", err=True)
