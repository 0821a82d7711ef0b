import math
import time
from collections.abc import Callable
from functools import partial
from itertools import combinations, product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpo.report.bootstrap import Estimate
from tpo.report.statistics import (
    bootstrap_means,
    bootstrap_ratios,
    compare_paired,
    compare_ratios,
    compare_shares,
    expected_best,
    expected_of_best,
    histogram,
    wilson_interval,
)

rewards = st.lists(st.floats(-10, 10), min_size=1, max_size=7)


def test_a_ratio_is_of_sums_not_a_mean_of_ratios() -> None:
    (estimate,) = bootstrap_ratios([[3.0], [1.0]], [[1.0], [3.0]])
    assert estimate is not None
    assert estimate.value == 1.0  # (3 + 1) / (1 + 3); the mean of ratios would be 5/3


def test_a_column_without_any_count_has_no_estimate() -> None:
    assert bootstrap_ratios([[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]])[1] is None


def test_equal_queries_leave_no_doubt() -> None:
    (estimate,) = bootstrap_means([[2.5]] * 9)
    assert estimate is not None
    assert (estimate.value, estimate.low, estimate.high) == (2.5, 2.5, 2.5)


def test_the_interval_is_about_what_theory_says() -> None:
    rows = [[float(n % 2)] for n in range(400)]  # standard error 0.5 / sqrt(400) = 0.025
    (estimate,) = bootstrap_means(rows)
    assert estimate is not None
    assert estimate.low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.008)
    assert estimate.high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.008)


def test_the_same_numbers_give_the_same_interval() -> None:
    rows = [[math.sin(n)] for n in range(50)]
    assert bootstrap_means(rows) == bootstrap_means(rows)
    assert bootstrap_means(rows) != bootstrap_means(rows, seed=8)


def test_a_query_that_draws_nothing_at_a_step_is_not_counted_there() -> None:
    (estimate,) = bootstrap_ratios([[4.0], [2.0], [0.0]], [[2.0], [1.0], [0.0]])
    assert estimate is not None
    assert (estimate.value, estimate.low, estimate.high) == (2.0, 2.0, 2.0)


def test_one_query_has_a_value_and_no_interval() -> None:
    for rows in ([[2.0]], [[2.0], [0.0]]):
        (estimate,) = bootstrap_ratios(rows, [[1.0], [0.0]][: len(rows)])
        assert estimate == Estimate(2.0)
    assert compare_paired([3.0], [1.0]).difference == Estimate(2.0)


def test_the_order_of_queries_changes_no_digit() -> None:
    for count in (30, 300):
        rows = [[math.sin(n * n), math.cos(n)] for n in range(count)]
        weights = [[1.0 + n % 3, 1.0] for n in range(count)]
        there = bootstrap_ratios(rows[::-1], weights[::-1])
        assert bootstrap_ratios(rows, weights) == there
        first, second = [row[0] for row in rows], [row[1] for row in rows]
        assert compare_paired(first, second) == compare_paired(first[::-1], second[::-1])


def coverage(
    draw: Callable[[], list[float]], mean: float, estimate: Callable[[list[float]], Estimate]
) -> float:
    """The share of 200 samples whose interval holds the true *mean*."""
    found = [estimate(draw()) for _ in range(200)]
    return sum(e.low is not None and e.high is not None and e.low <= mean <= e.high for e in found) / 200


def of_mean(values: list[float]) -> Estimate:
    (estimate,) = bootstrap_means([[value] for value in values])
    assert estimate is not None
    return estimate


def test_intervals_of_few_skewed_rewards_cover_and_very_skewed_ones_are_flagged() -> None:
    # Percentile intervals of these samples cover 0.775, studentised ones 0.895.
    draw = Random(5)
    mean = math.exp(1.5**2 / 2)
    assert coverage(lambda: [draw.lognormvariate(0, 1.5) for _ in range(20)], mean, of_mean) > 0.8
    heavy = [[draw.lognormvariate(0, 1.5) for _ in range(20)] for _ in range(100)]
    assert sum(of_mean(values).skewed for values in heavy) > 50
    assert not any(of_mean([draw.gauss(0, 1) for _ in range(20)]).skewed for _ in range(20))


def test_intervals_of_few_symmetric_rewards_cover_as_they_say() -> None:
    draw = Random(6)
    for count in (4, 10, 20):

        def normal(size: int = count) -> list[float]:
            return [draw.gauss(0, 1) for _ in range(size)]

        assert 0.9 < coverage(normal, 0.0, of_mean) < 0.99


def test_an_interval_of_differences_that_are_nearly_all_0_stays_within_their_range() -> None:
    first, second = [0.0] * 57 + [0.3, 1e-9, 2e-9], [0.0] * 60
    difference = compare_paired(first, second).difference
    assert difference.low is not None
    assert difference.high is not None
    assert 0.0 <= difference.low <= difference.value <= difference.high <= 0.3


def test_wilsons_interval_by_hand() -> None:
    estimate = wilson_interval([1.0] * 18 + [0.0] * 2)
    assert estimate.value == 0.9
    assert estimate.low == pytest.approx(0.699, abs=5e-4)
    assert estimate.high == pytest.approx(0.972, abs=5e-4)
    whole = wilson_interval([1.0] * 20)
    assert whole.low == pytest.approx(0.839, abs=5e-4)
    assert (whole.value, whole.high) == (1.0, 1.0)


def test_shares_near_one_are_covered_with_one_seed_and_with_three() -> None:
    draw = Random(7)
    for repeats in (1, 3):

        def shares(k: int = repeats) -> list[float]:
            return [sum(draw.random() < 0.97 for _ in range(k)) / k for _ in range(20)]

        # The bootstrap covers 0.45 with one seed and 0.83 with three.
        assert coverage(shares, 0.97, partial(wilson_interval, repeats=repeats)) > 0.92


def test_repeats_that_agree_add_no_certainty() -> None:
    agreeing = [1.0] * 15 + [0.0] * 5
    once, thrice = wilson_interval(agreeing), wilson_interval(agreeing, 3)
    assert once.high == pytest.approx(thrice.high, abs=0.01)
    spread = wilson_interval([0.75] * 4 + [1.0] * 8 + [0.5] * 8, 4)
    assert spread.value == pytest.approx(0.75)
    assert once.low is not None
    assert spread.low is not None
    assert spread.low > once.low


def test_shares_that_never_differ_have_no_certain_difference() -> None:
    same = compare_shares([1.0] * 20, [1.0] * 20)
    assert same.difference.value == 0.0
    assert same.difference.low == pytest.approx(-same.difference.high)  # type: ignore[operator]
    assert same.difference.high is not None
    assert 0.05 < same.difference.high < 0.2
    gained = compare_shares([1.0] * 20, [0.0] * 20)
    assert (gained.difference.value, gained.difference.high, gained.wins) == (1.0, 1.0, 20)
    assert gained.difference.low is not None
    assert gained.difference.low < 0.95


def test_a_difference_of_ratios_has_one_estimator_for_value_interval_and_p() -> None:
    # Rates 6 of 8 against 4 of 8, though two of three queries have the larger share on the other side.
    first, weights = [6.0, 0.0, 0.0], [6.0, 1.0, 1.0]
    second, others = [2.0, 1.0, 1.0], [6.0, 1.0, 1.0]
    found = compare_ratios(first, second, weights, others)
    assert found.difference.value == pytest.approx(0.25)
    assert (found.wins, found.ties, found.losses) == (1, 0, 2)
    # Swaps move 4, -1 and -1 of 8: all eight sums are at least as far from zero as the 2 that was seen.
    assert found.p == pytest.approx(1.0)
    assert compare_ratios(first, first, weights, weights).p == 1.0


def test_equal_weights_make_it_a_difference_of_means() -> None:
    draw = Random(8)
    first, second = ([draw.gauss(m, 1) for _ in range(25)] for m in (0.5, 0.0))
    plain, weighted = compare_paired(first, second), compare_ratios(first, second, [4.0] * 25, [4.0] * 25)
    assert weighted.p == plain.p
    assert weighted.difference.value == pytest.approx(plain.difference.value / 4)
    assert weighted.difference.low == pytest.approx(plain.difference.low / 4)  # type: ignore[operator]


def test_a_ratios_p_value_is_right_under_chance() -> None:
    draw = Random(9)

    def once() -> float:
        weights = [[draw.choice((2.0, 4.0, 6.0)) for _ in range(30)] for _ in range(2)]
        values = [[weight * draw.random() for weight in side] for side in weights]
        return compare_ratios(*values, *weights).p

    found = [once() for _ in range(100)]
    assert sum(p <= 0.05 for p in found) <= 12
    assert sum(p <= 0.5 for p in found) == pytest.approx(50, abs=18)


def test_the_expected_best_of_three_by_hand() -> None:
    (best,) = expected_best([[3.0, 0.0, 1.0]])
    # n = 1: mean 4/3; n = 2: pairs (3,0) (3,1) (0,1) -> (3 + 3 + 1) / 3; n = 3: 3
    assert best == pytest.approx([4 / 3, 7 / 3, 3.0])


@settings(deadline=None)
@given(rewards)
def test_the_expected_best_is_the_mean_over_every_choice(pool: list[float]) -> None:
    (best,) = expected_best([pool])
    for n in range(1, len(pool) + 1):
        every = [max(choice) for choice in combinations(pool, n)]
        assert best[n - 1] == pytest.approx(sum(every) / len(every), abs=1e-9)


@pytest.mark.parametrize("blanks", [1, 3])
def test_blank_samples_are_drawn_but_never_the_best(blanks: int) -> None:
    pool = [1.0, 2.0, 3.0, 5.0]
    (best,) = expected_best([pool], [4 + blanks])
    held_out = expected_of_best(pool, [value * value for value in pool], 4 + blanks)
    assert len(best) == len(held_out) == 4 + blanks
    for n in range(1, 5 + blanks):
        drawn = combinations([*pool, *[None] * blanks], n)
        every = [max(texts) for choice in drawn if (texts := [each for each in choice if each is not None])]
        assert best[n - 1] == pytest.approx(sum(every) / len(every))
        assert held_out[n - 1] == pytest.approx(sum(value * value for value in every) / len(every))


def test_the_expected_best_of_a_thousand_takes_no_time_and_is_right() -> None:
    pool = [float(value) for value in range(1, 1001)]
    started = time.process_time()
    (best,) = expected_best([pool])
    assert time.process_time() - started < 5  # 23 seconds by binomial coefficients, 0.05 by the recurrence
    # Of 1 to m the expected largest of n is n (m + 1) / (n + 1).
    assert best == pytest.approx([n * 1001 / (n + 1) for n in range(1, 1001)])


def test_pools_of_different_sizes_keep_their_own() -> None:
    assert [len(row) for row in expected_best([[1.0], [1.0, 2.0], [3.0]])] == [1, 2, 1]


def test_a_paired_comparison_by_hand() -> None:
    result = compare_paired([1.0, 2.0, 3.0, 4.0], [0.0, 2.0, 1.0, 5.0])
    assert (result.queries, result.wins, result.ties, result.losses) == (4, 2, 1, 1)
    assert result.difference.value == 0.5
    # Differences 1, 2, -1 sum to 2; of 8 sign patterns, sums of size >= 2: ±4, ±2 and ±2 -> 6
    assert result.p == pytest.approx(6 / 8)


@settings(deadline=None, max_examples=40)  # each example draws a thousand times
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=7))
def test_the_exact_p_value_counts_sign_patterns(differences: list[int]) -> None:
    moved = [d for d in differences if d]
    sums = [
        sum(s * d for s, d in zip(signs, moved, strict=True)) for signs in product((1, -1), repeat=len(moved))
    ]
    expected = sum(abs(s) >= abs(sum(moved)) for s in sums) / len(sums)
    result = compare_paired([float(d) for d in differences], [0.0] * len(differences))
    assert result.p == pytest.approx(expected)


def test_a_clear_difference_over_many_queries_is_hardly_chance() -> None:
    assert compare_paired([1.0 + n % 3 for n in range(60)], [0.0] * 60).p == pytest.approx(1 / 10_001)


def test_no_difference_at_all_is_chance() -> None:
    assert compare_paired([1.0] * 30, [1.0] * 30).p == 1.0


def test_drawn_p_values_come_close_to_exact_ones() -> None:
    few = [math.sin(3 * n * n) + 0.2 for n in range(12)]
    # Two that are hardly there leave the question as it was, but are too many for trying every pattern.
    many = [*few, 1e-7, 1e-7]
    assert compare_paired(many, [0.0] * 14).p == pytest.approx(compare_paired(few, [0.0] * 12).p, abs=0.01)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1.0], [1.0, 2.0])])
def test_what_is_no_pair_is_refused(first: list[float], second: list[float]) -> None:
    with pytest.raises(ValueError, match="paired"):
        compare_paired(first, second)


def test_histograms_share_their_edges_and_each_sums_to_one() -> None:
    edges, shares = histogram([[0.0, 1.0, 2.0, 2.0], [5.0]])
    assert edges[0] == 0.0
    assert edges[-1] == 5.0
    assert [sum(part) for part in shares] == pytest.approx([1.0, 1.0])
    assert all(len(part) == len(edges) - 1 for part in shares)


@pytest.mark.parametrize("gains", [[0.8 - 0.5, 0.5 - 0.2, 0.4 - 0.1], [0.0, 0.0], [-1.0], [1e9, 1e9 + 0.9]])
def test_values_that_differ_by_rounding_are_one_bar(gains: list[float]) -> None:
    edges, shares = histogram([gains])
    assert edges[0] < min(gains) <= max(gains) < edges[-1]
    assert shares == [[1.0]]


def test_an_outlier_does_not_make_a_million_bars() -> None:
    edges, _ = histogram([[*(n / 1000 for n in range(1000)), 1e9]])
    assert len(edges) <= 41
