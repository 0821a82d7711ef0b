"""Batches: the longest wait first, its nearest neighbours in length or in time, within the budget."""

from hypothesis import given
from hypothesis import strategies as st

from tpo.inprocess.batch_selection import first_batch, next_batch


def lengths(waiting: list[int], budget: int) -> list[int]:
    return next_batch(waiting, lambda length: length, budget)


def test_nothing_waits() -> None:
    assert lengths([], 10) == []


def test_one_that_waits_longest_goes_with_its_nearest() -> None:
    assert lengths([50, 500, 52, 9, 48, 51], 210) == [48, 50, 51, 52]


def test_an_item_larger_than_the_budget_goes_alone() -> None:
    assert lengths([100, 1, 99], 10) == [100]


@given(st.lists(st.integers(1, 500), min_size=1), st.integers(1, 2000))
def test_the_first_is_always_taken_and_the_padded_batch_fits(waiting: list[int], budget: int) -> None:
    indices = next_batch(list(range(len(waiting))), lambda at: waiting[at], budget)
    assert 0 in indices
    assert len(set(indices)) == len(indices)
    assert len(indices) == 1 or len(indices) * max(waiting[at] for at in indices) <= budget


@given(st.lists(st.integers(1, 500), min_size=1), st.integers(1, 2000))
def test_a_batch_is_a_run_of_neighbours_in_length(waiting: list[int], budget: int) -> None:
    batch = lengths(waiting, budget)
    ordered = sorted(waiting)
    runs = [ordered[begin : begin + len(batch)] for begin in range(len(ordered))]
    assert batch in runs


@given(st.lists(st.integers(1, 500)), st.integers(1, 2000))
def test_without_padding_those_go_together_that_wait_longest(waiting: list[int], budget: int) -> None:
    batch = first_batch(waiting, lambda length: length, budget)
    assert batch == waiting[: len(batch)]
    assert len(batch) <= 1 or sum(batch) <= budget
    assert batch == waiting or sum(waiting[: len(batch) + 1]) > budget
