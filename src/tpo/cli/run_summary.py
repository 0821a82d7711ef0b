"""Summary of a run: table by step, answers before and after, failures, and the run directory."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tpo.cli.escape import literal, one_line, visible
from tpo.cli.run_progress import duration
from tpo.cli.text_diff import difference
from tpo.events import Event, QueryEnded
from tpo.runs import Summary
from tpo.types import Candidate, Trajectory, Usage

EXAMPLES = 3
REASONS = 5
LONGEST_EXAMPLE = 600
"""Characters of an answer that are shown; an example is to be read at a glance."""

TINY_NOTE = (
    "The embedded pair is a toy trained on short messages: these numbers show that the software"
    " works, not what the method does for a large model."
)


@dataclass(frozen=True, slots=True)
class Change:
    """A query's answer before the iterations and after."""

    query: str
    before: Candidate
    after: Candidate

    @property
    def gain(self) -> float:
        """Increase of the reward."""
        return self.after.reward - self.before.reward


@dataclass
class Highlights:
    """Improved answers with the highest final rewards; listens to a run, or takes trajectories one by one."""

    improved: int = 0
    """Queries whose answer has a higher reward than before the iterations."""
    seen: int = 0
    _best: list[tuple[float, int, Change]] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Take a query that ended into account."""
        if isinstance(event, QueryEnded):
            self.add(event.trajectory)

    def add(self, trajectory: Trajectory) -> None:
        """Take *trajectory* into account."""
        self.seen += 1
        change = change_of(trajectory)
        if change is None or change.gain <= 0:
            return
        self.improved += 1
        heapq.heappush(self._best, (change.after.reward, -self.seen, change))
        if len(self._best) > EXAMPLES:
            heapq.heappop(self._best)

    def __bool__(self) -> bool:
        """Return whether any trajectory was seen."""
        return self.seen > 0

    @property
    def changes(self) -> list[Change]:
        """Return the improved answers with the highest rewards, the highest first."""
        return [change for _, _, change in sorted(self._best, key=lambda entry: entry[:2], reverse=True)]


def change_of(trajectory: Trajectory) -> Change | None:
    """From the best first sample to the best of the pool; with best-of-N, from the first sample of all."""
    if trajectory.best is None or not trajectory.initial:
        return None
    best_first = max(trajectory.initial, key=lambda candidate: candidate.reward)
    before = best_first if trajectory.steps else trajectory.initial[0]
    return Change(trajectory.query.text, before, trajectory.best)


def show_changes(console: Console, highlights: Highlights) -> None:
    """Print how many answers improved, and those with the highest rewards, changed words marked."""
    changes = highlights.changes
    if changes:
        console.print(Text(_improved(highlights, len(changes)), style="underline"))
    for change in changes:
        console.print(_change(change, console.width))
        console.print()


def _improved(highlights: Highlights, shown: int) -> str:
    count = f"{highlights.improved:,} of {highlights.seen:,} answers improved"
    best = f"; the {shown} with the highest rewards" if shown < highlights.improved else ""
    return f"{count}{best}:"


def show_steps(console: Console, summary: Summary) -> None:
    """Print the table by step."""
    if summary.by_step:
        console.print()
        console.print(_by_step(summary))


def show_costs(console: Console, summary: Summary) -> None:
    """Print what the run took, and why queries failed."""
    console.print(_costs(summary), style="dim")
    rules = {
        reason: n for reason, n in summary.stop_reasons.items() if reason not in ("max_iterations", "error")
    }
    if rules:
        ended = ", ".join(f"{count:,} by {reason}" for reason, count in rules.items())
        console.print(literal(f"ended early: {ended}"), style="dim")
    for sentence in _losses(summary):
        console.print(sentence, style="yellow")
    for reason, count in list(summary.failures.items())[:REASONS]:
        console.print(Text(f"{count:,} failed: ", style="red") + literal(one_line(reason, 200)))


def show_roles(console: Console, summary: Summary) -> None:
    """Print what each role took, for runs whose roles have models of their own."""
    for role, usage in summary.roles.items():
        console.print(
            f"as {role}: {usage.calls:,} requests, {usage.prompt_tokens:,} tokens read,"
            f" {usage.completion_tokens:,} written",
            style="dim",
        )


def _losses(summary: Summary) -> Iterator[str]:
    """Yield what was left out of the pools."""
    if summary.blank:
        yield f"{summary.blank:,} answers were blank and left out (a higher --max-tokens may help)"
    if summary.unscored:
        yield f"{summary.unscored:,} answers could not be scored and were left out"


def _by_step(summary: Summary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("step")
    for column in ("mean reward\nof the samples", "mean best\nof the pool", "candidates", "malformed"):
        table.add_column(column, justify="right")
    for row in summary.by_step:
        table.add_row(
            f"{row.step}" if row.step else "0, first samples",
            _reward(row.samples_mean),
            _reward(row.best_mean),
            f"{row.candidates:,}",
            f"{row.malformed:,}",
        )
    return table


def _reward(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def _costs(summary: Summary) -> str:
    total = sum(summary.usage.values(), Usage())
    cached = f" ({total.cached_tokens:,} from a cache)" if total.cached_tokens else ""
    return (
        f"{total.calls:,} requests, {total.prompt_tokens:,} tokens read{cached}, {total.completion_tokens:,}"
        f" written; {summary.reward_usage.calls:,} scores; {_retries(summary)}"
        f"{duration(summary.seconds)} of work"
    )


def _retries(summary: Summary) -> str:
    """Return the number of retries, those for scores apart; nothing if there were none."""
    total, scores = sum(summary.retries.values()), summary.retries.get("reward", 0)
    of_scores = f", {scores:,} of them for scores" if scores else ""
    return f"{total:,} retries{of_scores}; " if total else ""


def _change(change: Change, width: int) -> RenderableType:
    left, right = difference(_short(change.before.text), _short(change.after.text))
    return Group(
        Text(one_line(change.query, width), style="bold", no_wrap=True),
        *_side("before", change.before, left),
        *_side("after", change.after, right),
    )


def _side(label: str, candidate: Candidate, text: Text) -> Iterator[RenderableType]:
    yield Text(f"  {label} ({candidate.id}, reward {candidate.reward:+.3f})", style="dim")
    yield Padding(text, (0, 0, 0, 4), expand=False)


def _short(text: str) -> str:
    text = visible(text.strip())
    return text if len(text) <= LONGEST_EXAMPLE else text[:LONGEST_EXAMPLE].rstrip() + "…"
