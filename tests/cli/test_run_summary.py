"""What a run came to: gains, table, costs."""

from __future__ import annotations

import io

from rich.console import Console

from tests.cli.values import candidate, trajectory
from tpo.cli.run_summary import LONGEST_EXAMPLE, Highlights, change_of, show_changes, show_costs, show_steps
from tpo.events import QueryEnded
from tpo.runs import StepSummary, Summary
from tpo.types import RewardUsage, Usage

SUMMARY = Summary(
    finished=2,
    failed=3,
    by_step=(StepSummary(0, -1.25, 0.5, 10, 0), StepSummary(1, None, 0.5, 0, 5)),
    usage={"sample": Usage(2, 100, 40, 1234)},
    reward_usage=RewardUsage(10, 99),
    failures={"server [b]gone[/b]": 3},
    stop_reasons={"target_reward": 1, "max_iterations": 1, "error": 3},
    seconds=62.0,
)


def console(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width, highlight=False)


def text_of(where: Console) -> str:
    return str(where.file.getvalue())  # type: ignore[attr-defined]  # the StringIO from above


def test_the_gain_is_from_the_best_first_sample_to_the_best_of_the_pool() -> None:
    first = [candidate(0, 0, "a", 1.0), candidate(0, 1, "b", 2.0)]
    change = change_of(trajectory("q", first, [candidate(1, 0, "c", 5.0)]))
    assert change is not None
    assert (change.before.text, change.after.text, change.gain) == ("b", "c", 3.0)


def test_with_best_of_n_the_gain_is_from_the_first_sample() -> None:
    change = change_of(trajectory("q", [candidate(0, 0, "a", 1.0), candidate(0, 1, "b", 2.0)]))
    assert change is not None
    assert (change.before.text, change.after.text) == ("a", "b")


def test_a_query_without_a_pool_has_no_change() -> None:
    assert change_of(trajectory("q", error="gone")) is None


def test_the_three_best_improved_answers_are_kept_the_earlier_of_equals() -> None:
    highlights = Highlights()
    for name, gain in (("a", 1), ("b", 5), ("c", 3), ("d", 5), ("e", 0), ("f", -1)):
        pool = [candidate(0, 0, "x", 0.0)]
        highlights(QueryEnded(trajectory(name, pool, [candidate(1, 0, name, float(gain))])))
    assert [change.after.text for change in highlights.changes] == ["b", "d", "c"]
    assert (highlights.improved, highlights.seen) == (4, 6)


def test_examples_are_chosen_by_the_answers_reward_not_by_the_gain() -> None:
    where, highlights = console(), Highlights()
    for name, before, after in (("poor", -9.0, 0.0), ("good", 7.0, 8.0), ("a", 1.0, 2.0), ("b", 1.0, 3.0)):
        highlights.add(trajectory(name, [candidate(0, 0, "x", before)], [candidate(1, 0, name, after)]))
    show_changes(where, highlights)
    assert [change.after.text for change in highlights.changes] == ["good", "b", "a"]
    assert "4 of 4 answers improved; the 3 with the highest rewards:" in text_of(where)


def test_nothing_is_shown_where_nothing_rose() -> None:
    where, highlights = console(), Highlights()
    highlights.add(trajectory("q", [candidate(0, 0, "x", 1.0)]))
    show_changes(where, highlights)
    assert text_of(where) == ""
    assert highlights


def test_a_very_long_answer_is_cut() -> None:
    where, highlights = console(), Highlights()
    pool = [candidate(0, 0, "x", 1.0)]
    highlights.add(trajectory("q", pool, [candidate(1, 0, "word " * 9999, 2.0)]))
    show_changes(where, highlights)
    assert len(text_of(where)) < 2 * LONGEST_EXAMPLE
    assert "…" in text_of(where)


def test_the_table_tells_each_step_and_fits_eighty_columns() -> None:
    where = console()
    show_steps(where, SUMMARY)
    rows = [line.split() for line in text_of(where).splitlines()]
    assert ["0,", "first", "samples", "-1.250", "+0.500", "10", "0"] in rows
    assert ["1", "-", "+0.500", "0", "5"] in rows
    assert max(map(len, text_of(where).splitlines())) <= 80


def test_costs_and_failures_are_told() -> None:
    where = console(200)
    show_costs(where, SUMMARY)
    assert text_of(where).splitlines() == [
        "2 requests, 100 tokens read (40 from a cache), 1,234 written; 10 scores; 1:02 of work",
        "ended early: 1 by target_reward",
        "3 failed: server [b]gone[/b]",
    ]
