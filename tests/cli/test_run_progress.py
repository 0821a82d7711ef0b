"""A run's progress, told by its events and an injected clock."""

from __future__ import annotations

import io

from rich.console import Console

from tests.cli.values import candidate, query, trajectory
from tpo.cli.event_counts import EventCounts, completions_per_query
from tpo.cli.run_progress import SECONDS_BETWEEN_LINES, Lines, Picture, counts, duration, run_view, standing
from tpo.events import (
    CallRetried,
    CandidateScored,
    LimitChanged,
    QueryEnded,
    QueryStarted,
    RunStarted,
    Sampled,
)
from tpo.methods.catalog import build_method
from tpo.types import Completion, Phase, Scope, Usage


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def sampled(name: str, tokens: int = 10, read: int = 0) -> Sampled:
    usage = Usage(prompt_tokens=read, completion_tokens=tokens)
    return Sampled(Scope(name, 0, "sample"), Completion(0, "x", usage=usage))


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)


def output(console: Console) -> str:
    return str(console.file.getvalue())  # type: ignore[attr-defined]  # the StringIO from above


def test_a_query_takes_all_its_completions() -> None:
    assert completions_per_query(build_method("tpo", sample_size=5, max_iterations=2)) == 19
    assert completions_per_query(build_method("bon", sample_size=4)) == 4


def test_queries_are_counted_as_they_start_and_end() -> None:
    tally = EventCounts(weight=4, clock=Clock())
    tally(RunStarted(10, finished=2, failed=1))
    for name in "abc":
        tally(QueryStarted(query(name)))
    tally(sampled("a"))
    tally(QueryEnded(trajectory("b", candidates=[candidate(0, 0, "b", 3.0)])))
    tally(QueryEnded(trajectory("c", error="server gone")))
    assert (tally.done, tally.finished, tally.failed, tally.running) == (4, 3, 1, 1)
    assert tally.mean_best == (3.0,)
    assert tally.work == 4.25
    assert counts(tally).plain == "4 of 10 queries, 1 running, 1 failed"


def test_calls_that_are_tried_again_are_counted_and_named_until_something_arrives() -> None:
    tally = EventCounts(weight=4, clock=Clock())
    tally(RunStarted(10, 0, 0))
    phases: tuple[Phase, ...] = ("sample", "reward")
    for phase in phases:
        tally(CallRetried(Scope("a", 0, phase), f"{phase} server busy", 0.5))
    assert counts(tally).plain == "0 of 10 queries, 0 running, 2 retries"
    assert "trying again: reward server busy" in standing(tally)
    tally(CandidateScored(query("a"), candidate(0, 0, "x", 1.0)))
    assert "trying again" not in standing(tally)


def test_speed_and_time_left_are_those_of_late() -> None:
    clock = Clock()
    tally = EventCounts(weight=2, clock=clock)
    tally(RunStarted(2, 0, 0))
    tally(QueryStarted(query("a")))
    clock.time += 10
    tally(sampled("a", tokens=50, read=20))
    assert tally.tokens_per_second == (2.0, 5.0)
    assert tally.seconds_left == 30.0
    assert standing(tally) == "2 tokens/s in, 5 out, about 0:30 left"


def test_the_pools_best_is_told_by_step() -> None:
    tally = EventCounts(weight=2, clock=Clock())
    tally(RunStarted(3, 0, 0))
    for name, better in (("a", 2.0), ("b", 1.0)):
        first, improved = [candidate(0, 0, "x", 0.5)], [candidate(1, 0, "y", better)]
        tally(QueryEnded(trajectory(name, candidates=first, improved=improved)))
    assert tally.mean_best == (0.5, 1.5)
    assert standing(tally).startswith("best by step +0.50 +1.50")


def test_a_resumed_start_is_soon_forgotten() -> None:
    clock = Clock()
    tally = EventCounts(weight=1, clock=clock)
    tally(RunStarted(1000, 0, 0))
    for index in range(100):
        tally(QueryStarted(query(str(index))))
        tally(sampled(str(index), tokens=1000))
    for _ in range(30):
        clock.time += 1
        tally(sampled("later", tokens=7))
    assert tally.tokens_per_second is not None
    assert abs(tally.tokens_per_second[1] - 7) < 0.5


def test_nothing_is_guessed_before_there_is_something_to_go_by() -> None:
    tally = EventCounts(weight=1, clock=Clock())
    assert (tally.mean_best, tally.tokens_per_second, tally.seconds_left) == ((), None, None)
    assert standing(tally) == "starting"


def test_the_limits_of_the_servers_are_shown_together_once_they_change() -> None:
    tally = EventCounts(weight=7)
    assert "limit" not in standing(tally)
    for event in (LimitChanged("a", 33), LimitChanged("b", 40), LimitChanged("a", 22)):
        tally(event)
    assert "limit 62 requests" in standing(tally)


def test_a_retry_shows_until_the_next_answer() -> None:
    tally = EventCounts(weight=1, clock=Clock())
    tally(CallRetried(Scope("a", 0, "sample"), "server\x1b[31m busy", 2.0))
    assert standing(tally) == "trying again: server\\x1b[31m busy"
    tally(sampled("a"))
    assert "again" not in standing(tally)


def test_elsewhere_than_on_a_terminal_a_line_comes_now_and_then() -> None:
    console = Console(file=io.StringIO(), width=80)
    clock = Clock()
    view = Lines(console, EventCounts(weight=1, clock=clock), clock)
    view(RunStarted(3, 0, 0))
    for name in "abc":
        view(QueryStarted(query(name)))
    assert output(console) == ""
    clock.time += SECONDS_BETWEEN_LINES
    view(sampled("a", tokens=30))
    view(sampled("b"))
    assert output(console) == "0 of 3 queries, 3 running; 0 tokens/s in, 2 out, about 0:30 left\n"


def test_on_a_terminal_the_picture_fits_eighty_columns() -> None:
    console = terminal()
    tally = EventCounts(weight=1, clock=Clock())
    tally(RunStarted(100_000, 12_345, 678))
    console.print(Picture(tally))
    lines = output(console).splitlines()
    assert len(lines) == 2
    assert "12,345 of 100,000 queries" in lines[0]


def test_quiet_shows_nothing_and_counts_all_the_same() -> None:
    console, tally = terminal(), EventCounts(weight=1, clock=Clock())
    with run_view(console, tally, quiet=True) as listener:
        listener(RunStarted(5, 1, 0))
    assert output(console) == ""
    assert tally.finished == 1


def test_a_live_view_listens_and_leaves_no_line_behind() -> None:
    console, tally = terminal(), EventCounts(weight=1, clock=Clock())
    with run_view(console, tally) as listener:
        listener(RunStarted(5, 1, 0))
    assert tally.total == 5


def test_durations_read_as_on_a_clock() -> None:
    assert [duration(s) for s in (0, 41.6, 725, 11045)] == ["0:00", "0:42", "12:05", "3:04:05"]
