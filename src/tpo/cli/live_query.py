"""One query, shown live: samples and rewards as they come, what is said of them, what came of it."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from tpo.cli.escape import literal, one_line
from tpo.cli.text_diff import difference
from tpo.events import (
    CallRetried,
    CallStarted,
    CandidateScored,
    CritiqueWritten,
    Event,
    PairChosen,
    QueryEnded,
    QueryStarted,
    ScoringFailed,
    StepStarted,
    UpdateMalformed,
)
from tpo.types import Candidate, Trajectory

INDENT = (0, 0, 0, 2)


class Conversation:
    """A listener that prints a query's progress on *console*, and tells *waiting* what is awaited."""

    def __init__(self, console: Console, waiting: Callable[[str], object] = str) -> None:
        self._console = console
        self._waiting = waiting

    def __call__(self, event: Event) -> None:
        """Show *event*, if there is something to see in it."""
        match event:
            case QueryStarted():
                self._heading("First samples")
            case StepStarted():
                self._heading(f"Step {event.step}")
            case CallStarted():
                self._waiting(f"waiting for {event.scope.phase} of step {event.scope.step}")
                if event.scope.step and event.samples > 1:
                    self._heading(f"Step {event.scope.step}: {event.scope.phase}")
            case CandidateScored():
                self._row(f"{event.candidate.id:>5}", event.candidate)
            case ScoringFailed():
                self._said(event.candidate.id, f"has no score: {one_line(event.reason, 120)}", "yellow")
            case UpdateMalformed():
                self._said(f"{event.step}.{event.malformed.index}", "no readable answer in it", "yellow")
            case PairChosen():
                self._contrast(event)
            case CritiqueWritten():
                self._heading(f"Step {event.step}: {event.call.place}")
                self._console.print(Padding(literal(event.call.text.strip()), INDENT, expand=False))
            case CallRetried():
                self._said("again", f"in {event.wait:.1f} s: {one_line(event.reason, 120)}", "yellow")
            case QueryEnded():
                self._end(event.trajectory)

    def _contrast(self, event: PairChosen) -> None:
        self._row("  chosen  ", event.pair.chosen)
        if event.pair.rejected is not None:
            self._row("  rejected", event.pair.rejected)

    def _row(self, label: str, candidate: Candidate) -> None:
        row = Text.assemble((f"{label} ", "dim"), (f"{candidate.reward:+9.3f}  ", "cyan"))
        room = max(self._console.width - len(row), 20)
        row.append(one_line(candidate.text, room) or "(empty)")
        self._console.print(row, no_wrap=True, overflow="ellipsis")

    def _said(self, label: str, text: str, style: str) -> None:
        self._console.print(Text(f"{label:>5} {text}", style=style))

    def _heading(self, title: str) -> None:
        self._console.print()
        self._console.print(Text(title, style="bold"))

    def _end(self, trajectory: Trajectory) -> None:
        best = trajectory.best
        if best is None:
            return
        by = "" if trajectory.selection == "reward" else f", chosen by {trajectory.selection}"
        before = max(trajectory.initial, key=lambda candidate: candidate.reward)
        if best is not before and best.text != before.text:
            self._heading(f"Before: the best first sample, {before.id}, reward {before.reward:+.3f}")
            left, right = difference(before.text, best.text)
            self._console.print(Padding(left, INDENT, expand=False))
            self._heading(f"After: {best.id}, reward {best.reward:+.3f}{by}")
            self._console.print(Padding(right, INDENT, expand=False))
        else:
            self._heading(f"The answer: {best.id}, reward {best.reward:+.3f}{by}")
            self._console.print(Padding(literal(best.text), INDENT, expand=False))
