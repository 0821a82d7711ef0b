import math
from dataclasses import replace
from itertools import combinations
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.experiments.sweep.values import BON, arm, long_prompt_arms, row
from tpo.errors import ConfigError
from tpo.experiments.sweep.arms import Arm
from tpo.experiments.sweep.costs import CALLS, SECONDS, TOKENS, WRITTEN, cost_measures
from tpo.experiments.sweep.curves import RewardCurve, best_of_n_curve, cost_at, step_curve
from tpo.experiments.sweep.equal_cost import compare_at_equal_cost, within_cap
from tpo.methods.catalog import build_method
from tpo.report.prices import Prices
from tpo.report.statistics import expected_best, expected_of_best


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=7))
def test_the_estimate_of_best_of_n_is_the_mean_over_all_subsets(pool: list[float]) -> None:
    for n, estimate in enumerate(expected_best([pool])[0], 1):
        best = [max(subset) for subset in combinations(pool, n)]
        assert math.isclose(estimate, fmean(best), abs_tol=1e-9)


@given(
    st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=6, unique_by=lambda p: p[0])
)
def test_the_held_out_score_of_best_of_n_is_the_mean_over_all_subsets(
    pool: list[tuple[float, float]],
) -> None:
    rewards, values = zip(*pool, strict=True)
    for n, estimate in enumerate(expected_of_best(rewards, values), 1):
        selected = [max(subset)[1] for subset in combinations(pool, n)]
        assert math.isclose(estimate, fmean(selected), abs_tol=1e-9)


def test_samples_of_equal_reward_are_selected_equally_often() -> None:
    assert expected_of_best([1.0, 1.0, 0.0], [4.0, 2.0, 9.0]) == pytest.approx([5.0, 3.0, 3.0])


def test_a_draw_of_n_counts_n_calls_and_money_and_flops_are_those_of_its_tokens() -> None:
    assert best_of_n_curve(BON, ["a", "b"], CALLS).spent == (1.0, 2.0, 3.0, 4.0)
    money, flops = cost_measures(["money", "flops"], Prices(2.0, 6.0), 70e9)
    assert best_of_n_curve(BON, ["a"], money).spent[0] == pytest.approx(10 * 2e-6 + 10 * 6e-6)
    # The paper's figure for a query of a 70B policy.
    assert flops.of(60_000, 6_429, 9) == pytest.approx(9.3, abs=0.001)
    assert money.unit == "USD"


@pytest.mark.parametrize(
    ("name", "wanted"), [("money", "--price-in"), ("flops", "--parameters"), ("joules", "there are tokens")]
)
def test_a_cost_that_cannot_be_computed_is_refused(name: str, wanted: str) -> None:
    with pytest.raises(ConfigError, match=wanted):
        cost_measures([name])


def test_a_sample_that_is_a_request_of_its_own_reads_the_prompt() -> None:
    alone = {q: replace(r, sample_requests=4.0, sample_read=40.0) for q, r in BON.results.items()}
    pool = replace(BON, results=alone)
    assert best_of_n_curve(pool, ["a", "b"], TOKENS).spent == (20.0, 40.0, 60.0, 80.0)
    tpo = arm("tpo", 2, 1, {q: row((1.0, 2.0), (2.0, 5.0), (20.0, 32.0), (10.0, 33.0)) for q in "ab"})
    (cap,) = [c for c in compare_at_equal_cost([tpo, pool], [TOKENS]) if c.kind == "cap"]
    assert (cap.budget, cap.place, cap.needed) == (65.0, 3.0, 3.0)


def test_cached_prompt_tokens_have_their_price_and_count_as_tokens() -> None:
    (money,) = cost_measures(["money"], Prices(2.0, 6.0, 0.5))
    (full,) = cost_measures(["money"], Prices(2.0, 6.0))
    cached = replace(BON.results["a"], cached=(8.0,), sample_cached=8.0)
    pool = replace(BON, results={"a": cached})
    assert cost_at(cached, money, 0) == pytest.approx((2 * 2.0 + 8 * 0.5 + 40 * 6.0) / 1e6)
    assert best_of_n_curve(pool, ["a"], money).spent[0] == pytest.approx((2 * 2 + 8 * 0.5 + 10 * 6) / 1e6)
    assert cost_at(cached, full, 0) == pytest.approx((10 * 2.0 + 40 * 6.0) / 1e6)
    assert cost_at(cached, TOKENS, 0) == 50.0


def test_the_calls_of_a_role_with_a_model_of_its_own_have_its_prices() -> None:
    (money,) = cost_measures(["money"], Prices(2.0, 6.0, roles={"critic": Prices(20.0, 60.0)}))
    tokens = {"critic": ((0.0, 0.0, 0.0), (5.0, 3.0, 1.0)), "editor": ((0.0,) * 3, (2.0, 9.0, 0.0))}
    result = replace(row((1.0, 2.0), (2.0, 5.0), (20.0, 32.0)), by_role=tokens)
    assert cost_at(result, money, 0) == pytest.approx((10 * 2 + 20 * 6) / 1e6)
    assert cost_at(result, money, 1) == pytest.approx((15 * 2 + 5 * 20 + 29 * 6 + 3 * 60) / 1e6)
    assert cost_at(result, TOKENS, 1) == 52.0


def test_samples_cost_their_share_of_those_that_were_drawn() -> None:
    stopped = replace(BON, method=build_method("bon", sample_size=60, max_iterations=0))
    assert best_of_n_curve(stopped, ["a", "b"], TOKENS) == best_of_n_curve(BON, ["a", "b"], TOKENS)


def test_a_server_that_gives_one_sample_per_request_reads_the_prompt_for_each() -> None:
    singly = {q: replace(each, sample_requests=4.0) for q, each in BON.results.items()}
    pool = replace(BON, results=singly)
    assert best_of_n_curve(pool, ["a", "b"], TOKENS).spent == (12.5, 25.0, 37.5, 50.0)
    tpo = arm("tpo", 2, 1, {q: row((1.0, 2.0), (2.0, 5.0), (20.0, 30.0), (5.0, 7.6)) for q in "ab"})
    capped = next(c for c in compare_at_equal_cost([tpo, pool], [TOKENS]) if c.kind == "cap")
    assert (capped.budget, capped.place, capped.spent) == (37.6, 3.0, 37.5)


def test_seconds_are_compared_between_whole_runs() -> None:
    def timed(of: Arm, seconds: float) -> Arm:
        return replace(of, results={q: replace(r, seconds=seconds) for q, r in of.results.items()})

    rows = {q: row((1.0, 2.0), (2.0, 5.0), (20.0, 32.0)) for q in "ab"}
    tpo = timed(arm("tpo", 2, 1, rows), 5.0)
    revision = timed(arm("revision", 2, 1, {q: replace(r, best=(2.0, 4.0)) for q, r in rows.items()}), 8.0)
    small = timed(arm("bon", 2, 0, {q: row((0.0, 2.0), (2.0,), (20.0,)) for q in "ab"}), 2.0)
    large = timed(BON, 6.0)
    found = {c.second: c for c in compare_at_equal_cost([tpo, revision, small, large], [SECONDS])}
    best_of_n = found["best-of-n, pool of bon D0-N4"]
    assert (best_of_n.kind, best_of_n.budget, best_of_n.covered) == ("mean", 8.0, False)
    (ours, *_) = compare_at_equal_cost([tpo, small, large], [SECONDS])
    # 5 of the seconds from 2 to 6: three quarters of the way from best-of-2 to best-of-4.
    assert (ours.place, ours.covered) == (3.5, True)
    assert ours.paired is not None
    assert ours.paired.difference.value == pytest.approx(5.0 - fmean([0.25 * 2 + 0.75 * 4, 0.25 * 2 - 0.75]))
    against = found["revision D1-N2"]
    # From best-of-2 at 2 seconds to revision at 8: half of the way.
    assert (against.place, against.spent) == (0.5, 5.0)
    assert against.paired is not None
    assert against.paired.difference.value == pytest.approx(5.0 - 3.0)


def test_held_out_scores_are_compared_at_the_same_cost() -> None:
    def checked(of: Arm, check: tuple[float, ...], best_of: tuple[float, ...]) -> Arm:
        rows = {q: replace(r, check=check, check_best_of=best_of) for q, r in of.results.items()}
        return replace(of, results=rows)

    tpo = arm("tpo", 2, 1, {q: row((1.0, 2.0), (2.0, 5.0), (20.0, 32.0), (10.0, 10.0)) for q in "ab"})
    ours = checked(tpo, (0.0, 7.0), (0.0, 0.0))
    pool = checked(BON, (4.0,), (1.0, 2.0, 3.0, 4.0))
    found = {(c.cost, c.kind): c for c in compare_at_equal_cost([ours, pool])}
    mean = found["tokens", "mean"]
    assert (mean.place, mean.held_out is not None) == (3.2, True)
    assert mean.held_out is not None
    assert mean.held_out.difference.value == pytest.approx(7.0 - 3.2)
    cap = found["written", "cap"]
    assert cap.held_out is not None
    assert cap.held_out.difference.value == pytest.approx(7.0 - 3.0)
    assert compare_at_equal_cost([tpo, pool])[0].held_out is None


def test_best_of_n_costs_the_prompt_once_and_its_part_of_what_was_written() -> None:
    assert best_of_n_curve(BON, ["a", "b"], TOKENS).spent == (20.0, 30.0, 40.0, 50.0)
    assert best_of_n_curve(BON, ["a", "b"], WRITTEN).spent == (10.0, 20.0, 30.0, 40.0)


def test_between_two_n_the_curve_is_a_straight_line_and_the_same_way_for_all_queries() -> None:
    curve = best_of_n_curve(BON, ["a", "b"], TOKENS)
    point = curve.at(25.0)
    assert (point.place, point.covered, point.spent) == (1.5, True, 25.0)
    # Of 1 to 4 the expected best of one is 2.5, of two 10/3; of -1 to -4 they are -2.5 and -5/3.
    assert point.reached["a"] == pytest.approx((2.5 + 10 / 3) / 2)
    assert point.reached["b"] == pytest.approx((-2.5 - 5 / 3) / 2)


@pytest.mark.parametrize(
    ("budget", "place", "covered"), [(20, 1, True), (50, 4, True), (90, 4, False), (5, 1, False)]
)
def test_at_its_ends_a_curve_is_not_carried_on(budget: float, place: float, covered: bool) -> None:
    point = best_of_n_curve(BON, ["a"], TOKENS).at(budget)
    assert (point.place, point.covered) == (place, covered)
    assert point.spent == (20.0 if place == 1 else 50.0)


def test_a_step_that_cost_nothing_divides_by_nothing() -> None:
    curve = RewardCurve((0.0, 1.0, 2.0), (10.0, 10.0, 20.0), {"a": (1.0, 1.0, 3.0)})
    assert curve.at(10.0).reached == {"a": 1.0}
    assert curve.at(15.0).reached == {"a": 2.0}


def test_a_method_with_iterations_is_interpolated_between_its_steps_critiques_included() -> None:
    of = arm(
        "revision", 2, 2, {"a": row((1.0, 0.0), (1.0, 2.0, 4.0), (20.0, 50.0, 80.0), (10.0, 40.0, 90.0))}
    )
    curve = step_curve(of, ["a"], TOKENS)
    assert curve.spent == (30.0, 90.0, 170.0)
    assert curve.at(130.0).reached == {"a": 3.0}


def test_each_method_is_held_against_the_widest_pool_and_other_methods_of_its_width() -> None:
    tpo = arm("tpo", 2, 1, {q: row((1.0, 2.0), (2.0, 5.0), (20.0, 32.0), (10.0, 10.0)) for q in ("a", "b")})
    revision = arm("revision", 2, 1, {"a": row((1.0, 2.0), (2.0, 3.0), (20.0, 26.0), (10.0, 10.0))})
    wide = arm("revision", 3, 1, {"a": row((1.0, 2.0, 0.0), (2.0, 3.0), (30.0, 40.0))})
    found = compare_at_equal_cost([tpo, revision, wide, BON])
    ours = [c for c in found if (c.first, c.cost, c.kind) == ("tpo D1-N2", "tokens", "mean")]
    assert [c.second for c in ours] == ["best-of-n, pool of bon D0-N4", "revision D1-N2"]
    against_n, against_revision = ours
    assert (against_n.budget, against_n.place, against_n.covered) == (42.0, 3.2, True)
    assert against_n.needed == pytest.approx(3.2)
    assert against_n.paired is not None
    assert against_n.paired.queries == 2
    # Revision ended at 36 tokens: it is not compared at 42.
    assert (against_revision.covered, against_revision.spent) == (False, 36.0)
    assert against_revision.paired is None


def test_arms_without_a_query_in_common_are_not_compared() -> None:
    tpo = arm("tpo", 2, 1, {"z": row((1.0, 2.0), (2.0, 5.0), (20.0, 32.0))})
    found = compare_at_equal_cost([tpo, BON])
    assert found == []


def test_under_a_cap_no_query_spends_more_than_the_mean_of_the_method() -> None:
    """Long answers score high: one n for all lets short ones pay for them, a cap does not."""
    short, long = (1.0, 1.0, 1.0, 1.0), (5.0, 6.0, 7.0, 8.0)
    read = (0.0, 0.0)
    tpo = arm(
        "tpo",
        2,
        1,
        {
            "a": row(short[:2], (1.0, 2.0), (4.0, 20.0), read),
            "b": row(long[:2], (6.0, 9.0), (60.0, 100.0), read),
        },
    )
    pool = arm(
        "bon", 4, 0, {"a": row(short, (1.0,), (8.0,), (0.0,)), "b": row(long, (8.0,), (120.0,), (0.0,))}
    )
    found = {c.kind: c for c in compare_at_equal_cost([tpo, pool]) if c.cost == "written"}
    # The budget is 60. With one n for all, n = 3.75 costs 7.5 and 112.5: 60 on the mean query.
    mean = found["mean"]
    assert mean.budget == 60.0
    assert (mean.place, mean.spent) == pytest.approx((3.75, 60.0))
    assert mean.paired is not None
    best = 0.25 * 7.75 + 0.75 * 8.0  # of three and of four samples
    assert mean.paired.difference.value == pytest.approx((2.0 - 1.0 + 9.0 - best) / 2)
    # A cap of 60 pays for 30 short samples, which the pool has not got.
    assert (found["cap"].covered, found["cap"].paired, found["cap"].needed) == (False, None, 30.0)
    wide = arm(
        "bon", 4, 0, {"a": row(short, (1.0,), (56.0,), (0.0,)), "b": row(long, (8.0,), (120.0,), (0.0,))}
    )
    (capped,) = [c for c in compare_at_equal_cost([tpo, wide]) if (c.cost, c.kind) == ("written", "cap")]
    # 60 pays for all four short samples and two long ones; tpo stops before its step where that costs 100.
    assert (capped.spent, capped.place) == (58.0, 3.0)
    assert capped.paired is not None
    best_of_two = (6 + 7 + 8 + 7 + 8 + 8) / 6
    assert capped.paired.difference.value == pytest.approx((2.0 - 1.0 + 6.0 - best_of_two) / 2)
    assert within_cap(tpo, tpo.results["b"], WRITTEN, 60.0) == (6.0, 60.0, 0.0, None)
    assert within_cap(tpo, tpo.results["b"], WRITTEN, 59.0) == (5.5, 30.0, 1.0, None)
    assert within_cap(tpo, tpo.results["b"], WRITTEN, 29.0) is None


def test_a_cap_below_one_sample_of_a_query_needs_no_larger_pool() -> None:
    (cap,) = [c for c in compare_at_equal_cost(long_prompt_arms(), [TOKENS]) if c.kind == "cap"]
    assert (cap.budget, cap.covered, cap.paired) == (1526.0, False, None)
    assert (cap.unpaid, cap.needed) == (1, None)


def test_a_mean_budget_below_one_sample_needs_no_larger_pool() -> None:
    tpo = arm("tpo", 2, 1, {q: row((1.0, 2.0), (2.0, 5.0), (2.0, 4.0), (1.0, 1.0)) for q in "ab"})
    (mean,) = [c for c in compare_at_equal_cost([tpo, BON], [TOKENS]) if c.kind == "mean"]
    assert (mean.budget, mean.place, mean.covered) == (5.0, 1.0, False)
    assert (mean.unpaid, mean.needed) == (2, None)
