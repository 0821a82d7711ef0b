"""A bar of queries for the terminal, as the reference shows one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tpo.events import CallRetried, Event, Listener, QueryEnded, RunStarted


@contextmanager
def progress_bar(console: Console) -> Iterator[Listener]:
    """A listener that moves a bar on *console*; where that is no terminal, nothing is shown."""
    columns = (TextColumn("queries"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("queries", total=None)

        def show(event: Event) -> None:
            match event:
                case RunStarted():
                    progress.update(task, total=event.total, completed=event.finished)
                case QueryEnded():
                    progress.advance(task)
                case CallRetried():
                    progress.console.print(f"trying again: {event.reason}", markup=False, style="dim")

        yield show
