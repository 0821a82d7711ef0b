"""Arms are compared on the queries that all of them finished."""

import pytest

from tpo.report.shared_queries import natural_key, shared_queries


def test_queries_that_one_arm_lacks_are_left_out() -> None:
    shared = shared_queries([["a", "b", "c"], ["b", "c"], ["c", "b", "d"]])
    assert (shared.queries, shared.apart) == (frozenset("bc"), frozenset())


@pytest.mark.parametrize(("count", "apart"), [(4, {1}), (5, set())])
def test_an_arm_with_few_queries_stands_apart_and_shrinks_no_other(count: int, apart: set[int]) -> None:
    shared = shared_queries([list(range(10)), list(range(count))])
    assert shared.apart == apart
    assert len(shared.queries) == (10 if apart else count)


def test_arms_without_queries_stand_apart() -> None:
    assert shared_queries([[], []]).apart == {0, 1}
    assert shared_queries([]).queries == frozenset()


def test_numbers_in_ids_are_ordered_by_value() -> None:
    ids = ["٣", "q10", "q9b", "q9", "q09", "a"]
    assert sorted(ids, key=natural_key) == ["a", "q09", "q9", "q9b", "q10", "٣"]
