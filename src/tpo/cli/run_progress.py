"""Progress display of a run: two updating lines on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tpo.cli.error_output import print_warning
from tpo.cli.escape import one_line
from tpo.cli.event_counts import EventCounts
from tpo.events import Event, Listener, RunWarned

SECONDS_BETWEEN_LINES = 15.0
STEPS_SHOWN = 4


@contextmanager
def run_view(console: Console, tally: EventCounts, *, quiet: bool = False) -> Iterator[Listener]:
    """The listener that shows a run on *console*, for as long as the run goes."""
    if quiet:
        yield _warning(tally)
    elif not console.is_terminal:
        yield _warning(Lines(console, tally))
    else:
        with Live(Picture(tally), console=console, refresh_per_second=8, transient=True):
            yield _warning(tally)


def _warning(listener: Listener) -> Listener:
    """Return *listener*, with warnings printed on stderr as they come, in quiet runs as well."""

    def listen(event: Event) -> None:
        listener(event)
        if isinstance(event, RunWarned):
            print_warning(f"so far: {event.text}")

    return listen


class Picture:
    """The two lines: a bar with counts, and quality by step, speed and time left."""

    def __init__(self, tally: EventCounts) -> None:
        self._tally = tally

    def __rich__(self) -> RenderableType:
        """As the tally stands now."""
        row = Table.grid(padding=(0, 2))
        row.add_row(self._bar(), counts(self._tally))
        return Group(row, Text(standing(self._tally), style="dim"))

    def _bar(self) -> ProgressBar:
        total = self._tally.total
        return ProgressBar(total=total, completed=self._tally.work, width=24, pulse=total is None)


class Lines:
    """A listener that counts, and says where things stand once in a while."""

    def __init__(
        self, console: Console, tally: EventCounts, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._tally = tally
        self._clock = clock
        self._last = clock()

    def __call__(self, event: Event) -> None:
        """Count *event*; print a line if the last one is long enough ago."""
        self._tally(event)
        if self._clock() - self._last >= SECONDS_BETWEEN_LINES:
            self._last = self._clock()
            line = f"{counts(self._tally).plain}; {standing(self._tally)}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def counts(tally: EventCounts) -> Text:
    """Queries done of all, running and failed."""
    of_all = f" of {tally.total:,}" if tally.total is not None else ""
    text = Text(f"{tally.done:,}{of_all} queries, {tally.running:,} running")
    if tally.retries:
        text.append(f", {tally.retries:,} retries", style="yellow")
    if tally.failed:
        text.append(f", {tally.failed:,} failed", style="red")
    return text


def standing(tally: EventCounts) -> str:
    """Quality, speed and time left, as far as they are known."""
    parts = []
    if tally.mean_best:
        parts.append(f"best by step {_by_step(tally.mean_best)}")
    if tally.tokens_per_second is not None:
        read, written = tally.tokens_per_second
        parts.append(f"{read:,.0f} tokens/s in, {written:,.0f} out")
    if tally.limits:
        parts.append(f"limit {sum(tally.limits.values()):,} requests")
    if tally.seconds_left is not None:
        parts.append(f"about {duration(tally.seconds_left)} left")
    if tally.retry is not None:
        parts.append(f"trying again: {one_line(tally.retry, 60)}")
    return ", ".join(parts) or "starting"


def _by_step(rewards: Sequence[float]) -> str:
    """Mean rewards from the first samples on; of many steps the first two and the last two."""
    shown = [f"{reward:+.2f}" for reward in rewards]
    return " ".join(shown if len(shown) <= STEPS_SHOWN else [*shown[:2], "…", *shown[-2:]])


def duration(seconds: float) -> str:
    """``0:42``, ``12:05``, ``3:04:05``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
