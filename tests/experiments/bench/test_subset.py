from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tpo.experiments.bench.subset import hash_subset, stratified_subset
from tpo.types import Query, user


def of_kinds(*kinds: str) -> list[Query]:
    return [Query(f"q{i}", (user("?"),), metadata={"kind": kind}) for i, kind in enumerate(kinds)]


def test_the_published_choice_is_the_rule_that_the_docs_give() -> None:
    picked = hash_subset("tpo/hh-rlhf", 500)(8552)
    assert len(set(picked)) == 500
    assert list(picked) == sorted(picked)
    assert picked[:5] == (33, 35, 100, 107, 110)
    assert picked[-1] < 8552


def test_a_set_that_is_smaller_than_the_choice_is_taken_whole() -> None:
    assert hash_subset("x", 500)(3) == (0, 1, 2)


def test_a_limit_takes_each_kind_by_its_share() -> None:
    queries = of_kinds(*"a" * 60, *"b" * 30, *"c" * 10)
    kinds = Counter(query.metadata["kind"] for query in stratified_subset(queries, 10, "kind"))
    assert kinds == {"a": 6, "b": 3, "c": 1}


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60), st.integers(1, 80))
def test_a_limit_gives_that_many_in_their_order_and_no_share_is_off_by_one_or_more(
    kinds: list[str], limit: int
) -> None:
    queries = of_kinds(*kinds)
    chosen = stratified_subset(queries, limit, "kind")
    assert len(chosen) == min(limit, len(queries))
    assert [q.id for q in chosen] == [q.id for q in queries if q in chosen]
    counts = Counter(query.metadata["kind"] for query in chosen)
    for kind, all_of in Counter(kinds).items():
        assert abs(counts[kind] - all_of * len(chosen) / len(queries)) < 1


def test_without_kinds_the_same_are_taken_again() -> None:
    queries = of_kinds(*"aaaaaaaa")
    assert stratified_subset(queries, 3, None) == stratified_subset(queries, 3, None)
    assert len(stratified_subset(queries, None, None)) == 8


def test_a_larger_limit_keeps_every_query_of_a_smaller_one() -> None:
    sizes = (43, 90, 105, 128, 134)  # of the levels of MATH-500, where largest remainders lose some
    queries = [
        Query(f"{level}-{i}", (user("hi"),), metadata={"level": level})
        for level, size in enumerate(sizes)
        for i in range(size)
    ]
    smaller: set[str] = set()
    for limit in range(200):
        chosen = {query.id for query in stratified_subset(queries, limit, "level")}
        assert len(chosen) == limit
        assert smaller <= chosen
        smaller = chosen
