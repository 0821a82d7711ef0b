from dataclasses import asdict
from functools import cache
from typing import Any

import pytest

from tests.experiments.sweep.values import BON, arm, long_prompt_arms, row
from tpo.experiments.sweep.budgets import at_budgets
from tpo.experiments.sweep.comparison_tables import with_shown_adjusted
from tpo.experiments.sweep.costs import DEFAULT_COSTS, TOKENS
from tpo.experiments.sweep.equal_cost import compare_at_equal_cost
from tpo.experiments.sweep.results import arm_record, compare_arms
from tpo.experiments.sweep.tables import csv_rows, sweep_latex, sweep_notes, sweep_page
from tpo.experiments.tables import with_adjusted_p
from tpo.report.overview import TINY_NOTE

DEAR = arm("tpo", 4, 1, {q: row((1.0, 2.0, 3.0, 4.0), (4.0, 6.0), (40.0, 400.0)) for q in ("a", "b")})
CHEAP = arm("revision", 4, 1, {q: row((1.0, 2.0, 3.0, 4.0), (4.0, 5.0), (40.0, 200.0)) for q in ("a", "b")})


def record(**more: Any) -> dict[str, Any]:
    return _whole() | more


@cache
def _whole() -> dict[str, Any]:
    arms = [DEAR, CHEAP, BON]
    return {
        "policy": "made",
        "data": {"source": "q.jsonl", "ids": ["a", "b"]},
        "tiny": False,
        "rewards": ["guide"],
        "seeds": [7],
        "held_out_reward": None,
        "held_out_missed": 0,
        "held_out_error": None,
        "shared_calls": True,
        "cells": [{"run": "runs/x", "finished": 2, "failed": 0, "error": None}],
        "arms": [arm_record(each) for each in arms],
        "costs": [asdict(measure) for measure in DEFAULT_COSTS],
        "against": with_shown_adjusted(compare_arms(arms)),
        "at_equal_cost": with_shown_adjusted([each.record() for each in compare_at_equal_cost(arms)]),
        "at_budgets": with_adjusted_p(
            [each.record() for each in at_budgets(arms, DEFAULT_COSTS[0], (30.0, 400.0))],
            ("paired", "held_out_paired"),
        ),
        "figures": [],
        "page": None,
    }


def test_a_curve_that_ends_before_the_budget_is_said_to_and_what_helps_is_told() -> None:
    page = sweep_page(record())
    line = next(line for line in page.splitlines() if "best-of-n, pool of tpo" in line)
    assert "n 4.0, the end" in line
    # A prompt of 10 tokens and 10 a sample: the dearest budget, 420 tokens, buys 41.
    # Neither a difference nor a p at other tokens than the budget.
    assert line.rstrip(" |").endswith("\u2013")
    # At the mean query's budget and at the cap.
    assert "ended before the budget 8 times: --pool 41 would cover all" in page
    revision = next(
        line for line in page.splitlines() if "| revision D1-N4" in line and "| tpo D1-N4 " in line
    )
    assert "+1.00" in next(line for line in page.splitlines() if "tpo D1-N4 minus revision D1-N4" in line)
    assert ", second " in revision


def test_a_cap_that_pays_no_sample_of_a_query_gives_no_advice_about_the_pool() -> None:
    cap = next(c for c in compare_at_equal_cost(long_prompt_arms(), [TOKENS]) if c.kind == "cap")
    page = sweep_page(record(at_equal_cost=[cap.record()]))
    assert "the cap pays no sample of 1 query" in page
    assert "--pool" not in page


def test_a_toy_is_called_one_wherever_its_numbers_stand() -> None:
    assert TINY_NOTE in sweep_page(record(tiny=True))
    assert TINY_NOTE in sweep_latex(record(tiny=True))
    assert TINY_NOTE not in sweep_page(record())


def test_what_is_missing_failed_or_stopped_is_told() -> None:
    failed = {"run": "runs/y", "finished": 1, "failed": 1, "error": None}
    page = sweep_page(record(cells=[failed], held_out_error="no key", held_out_missed=3))
    assert "runs/y: 1 query failed" in page
    said = sweep_notes(record(held_out_error="no key", held_out_missed=3))
    assert "the held-out reward stopped: no key" in said
    assert "responses without a held-out score, whose queries are in no held-out mean: 3" in said


def test_two_rewards_are_told_apart_in_every_table() -> None:
    page = sweep_page(record(rewards=["guide", "other"]))
    heads = [line for line in page.splitlines() if line.startswith(("| method", "| answers"))]
    assert len(heads) == 3
    assert all("| reward" in head for head in heads)
    assert any("minus best-of-n" in line and "| reward" in line for line in page.splitlines())


def test_the_csv_has_a_column_for_every_number() -> None:
    head, *rows = csv_rows(record())
    assert all(len(each) == len(head) for each in rows)
    assert [each[head.index("answer")] for each in rows] == [6.0, 5.0, 1.5]


def test_p_is_adjusted_for_all_tests_of_its_table() -> None:
    def tested(*ps: float) -> dict[str, Any]:
        names = ("paired", "held_out")
        return dict.fromkeys(names) | {n: {"p": p} for n, p in zip(names, ps, strict=False)}

    rows = with_adjusted_p([tested(0.01, 0.04), tested(0.03), tested()])
    found = [row[n]["p_holm"] for row in rows for n in ("paired", "held_out") if row[n]]
    assert found == pytest.approx([0.03, 0.06, 0.06])


def test_tests_that_no_table_shows_do_not_count() -> None:
    def tested(second: str) -> dict[str, Any]:
        return {"second": second, "kind": "mean", "paired": {"p": 0.0001}, "held_out": None}

    few = with_shown_adjusted([tested("revision D9-N9") for _ in range(60)])
    assert few[0]["paired"]["p_holm"] == pytest.approx(0.006)
    many = with_shown_adjusted([tested("best-of-n, pool of tpo"), *(tested("revision") for _ in range(600))])
    assert many[0]["paired"]["p_holm"] == pytest.approx(0.0001)
    assert not any("p_holm" in row["paired"] for row in many[1:])


def test_held_out_differences_stand_beside_those_of_the_guide() -> None:
    head = next(line for line in sweep_page(record(held_out_reward="h")).splitlines() if "| budget" in line)
    assert "held-out difference" in head
    assert "held-out" not in sweep_page(record())


def test_a_table_of_many_comparisons_shows_those_with_best_of_n_and_tells_of_the_others() -> None:
    rows = record()["at_equal_cost"]
    many = [*rows * 9, *([{**rows[0], "second": "revision D9-N9"}] * 60)]
    page = sweep_page(record(at_equal_cost=many))
    assert "revision D9-N9" not in page
    assert "best-of-n, pool of" in page
    assert "further comparisons are in sweep.json, under at_equal_cost" in page
    assert "further comparisons" not in sweep_page(record())
