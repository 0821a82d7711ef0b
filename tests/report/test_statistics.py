import math
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpo.report.statistics import (
    bootstrap_means,
    bootstrap_ratios,
    expected_best,
    histogram,
    paired,
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
    (estimate,) = bootstrap_ratios([[4.0], [0.0]], [[2.0], [0.0]])
    assert estimate is not None
    assert (estimate.value, estimate.low, estimate.high) == (2.0, 2.0, 2.0)


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


def test_pools_of_different_sizes_keep_their_own() -> None:
    assert [len(row) for row in expected_best([[1.0], [1.0, 2.0], [3.0]])] == [1, 2, 1]


def test_a_paired_comparison_by_hand() -> None:
    result = paired([1.0, 2.0, 3.0, 4.0], [0.0, 2.0, 1.0, 5.0])
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
    result = paired([float(d) for d in differences], [0.0] * len(differences))
    assert result.p == pytest.approx(expected)


def test_a_clear_difference_over_many_queries_is_hardly_chance() -> None:
    assert paired([1.0 + n % 3 for n in range(60)], [0.0] * 60).p == pytest.approx(1 / 10_001)


def test_no_difference_at_all_is_chance() -> None:
    assert paired([1.0] * 30, [1.0] * 30).p == 1.0


def test_drawn_p_values_come_close_to_exact_ones() -> None:
    few = [math.sin(3 * n * n) + 0.2 for n in range(12)]
    # Two that are hardly there leave the question as it was, but are too many for trying every pattern.
    many = [*few, 1e-7, 1e-7]
    assert paired(many, [0.0] * 14).p == pytest.approx(paired(few, [0.0] * 12).p, abs=0.01)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1.0], [1.0, 2.0])])
def test_what_is_no_pair_is_refused(first: list[float], second: list[float]) -> None:
    with pytest.raises(ValueError, match="paired"):
        paired(first, second)


def test_histograms_share_their_edges_and_each_sums_to_one() -> None:
    edges, shares = histogram([[0.0, 1.0, 2.0, 2.0], [5.0]])
    assert edges[0] == 0.0
    assert edges[-1] == 5.0
    assert [sum(part) for part in shares] == pytest.approx([1.0, 1.0])
    assert all(len(part) == len(edges) - 1 for part in shares)


def test_an_outlier_does_not_make_a_million_bars() -> None:
    edges, _ = histogram([[*(n / 1000 for n in range(1000)), 1e9]])
    assert len(edges) <= 41
