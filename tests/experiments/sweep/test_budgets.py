"""All methods at the same fixed budgets."""

from dataclasses import replace

import pytest

from tests.experiments.sweep.values import BON, arm, row
from tpo.cli.sweep_session import budgets_of
from tpo.errors import ConfigError
from tpo.experiments.sweep.arms import Arm
from tpo.experiments.sweep.budgets import AtBudget, at_budgets
from tpo.experiments.sweep.costs import TOKENS
from tpo.experiments.sweep.figures import sweep_figures

QUERIES = ("a", "b")
TPO = arm("tpo", 2, 2, {q: row((1.0, 2.0), (2.0, 5.0, 6.0), (20.0, 40.0, 60.0)) for q in QUERIES})


def fused(n: int, answer: float, written: float) -> Arm:
    pool = tuple(map(float, range(n)))
    return arm("fusion", n, 1, {q: row(pool, (answer - 1, answer), (10.0, written)) for q in QUERIES})


def found(arms: list[Arm], budget: float) -> dict[str, AtBudget]:
    return {each.method: each for each in at_budgets(arms, TOKENS, [budget])}


def test_a_method_is_followed_along_its_steps_and_held_against_best_of_n_at_the_budget() -> None:
    at = found([TPO, BON], 45.0)
    # tpo costs 30, 60 and 90 tokens; best-of-n 20, 30, 40 and 50.
    tpo, best_of_n = at["tpo N2"], at["best-of-n"]
    assert (tpo.place, best_of_n.place) == (0.5, 3.5)
    assert tpo.answer is not None
    assert tpo.answer.value == pytest.approx(3.5)
    assert tpo.paired is not None
    assert best_of_n.answer is not None
    assert tpo.paired.difference.value == pytest.approx(3.5 - best_of_n.answer.value)
    assert (best_of_n.paired, tpo.held_out) == (None, None)


def test_a_method_of_one_iteration_is_followed_along_n() -> None:
    at = found([fused(2, 3.0, 20.0), fused(4, 5.0, 60.0), BON], 60.0)["fusion D1"]
    # Its answers cost 40 and 80 tokens.
    assert (at.axis, at.place, at.covered) == ("n", 3.0, True)
    assert at.answer is not None
    assert at.answer.value == pytest.approx(4.0)


def test_a_curve_that_ends_before_the_budget_has_no_number() -> None:
    at = found([TPO, BON], 70.0)
    assert (at["best-of-n"].covered, at["best-of-n"].answer) == (False, None)
    assert at["tpo N2"].answer is not None
    assert at["tpo N2"].paired is None


def test_held_out_scores_are_compared_where_all_have_them() -> None:
    rows = {q: replace(r, check=(0.0, 4.0, 4.0), check_best_of=(0.0, 0.0)) for q, r in TPO.results.items()}
    pool = {q: replace(r, check=(4.0,), check_best_of=(1.0, 2.0, 3.0, 4.0)) for q, r in BON.results.items()}
    at = found([replace(TPO, results=rows), replace(BON, results=pool)], 45.0)["tpo N2"]
    assert at.held_out_paired is not None
    assert at.held_out_paired.difference.value == pytest.approx(2.0 - 3.5)


def test_budgets_are_numbers_in_order() -> None:
    assert budgets_of("3000,1500, 3000") == (1500.0, 3000.0)
    assert budgets_of(None) == ()
    for wrong in ("many", "0", "-1", "inf", "nan"):
        with pytest.raises(ConfigError, match="--budget"):
            budgets_of(wrong)


def test_a_query_whose_draw_ended_early_shortens_the_curve_of_best_of_n() -> None:
    ended = replace(row((1.0, 2.0, 3.0), (3.0,), (30.0,)), calls=(4.0,))
    rows = {**BON.results, "b": ended}
    shorter = replace(BON, results=rows)
    # Three of its samples cost 10 tokens and three quarters of 35.
    at = found([shorter, TPO], 36.0)["best-of-n"]
    assert (at.covered, shorter.pool_size) == (True, 3)
    assert not found([shorter, TPO], 37.0)["best-of-n"].covered
    assert sweep_figures([shorter])
