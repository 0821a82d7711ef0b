"""The contrast of a step."""

from hypothesis import given
from hypothesis import strategies as st

from tpo.methods.contrast import contrast
from tpo.types import Candidate, Score


def pool(*pairs: tuple[str, float]) -> list[Candidate]:
    return [Candidate(0, i, text, Score(reward)) for i, (text, reward) in enumerate(pairs)]


def test_best_and_worst_of_the_whole_pool() -> None:
    pair = contrast(pool(("b", 2.0), ("a", 3.0), ("c", -1.0), ("d", 0.0)))
    assert pair.rejected is not None
    assert (pair.chosen.text, pair.rejected.text) == ("a", "c")


def test_of_equal_rewards_the_earliest_is_chosen_and_the_latest_rejected() -> None:
    pair = contrast(pool(("a", 1.0), ("b", 1.0), ("c", 1.0)))
    assert pair.rejected is not None
    assert (pair.chosen.text, pair.rejected.text) == ("a", "c")


def test_one_response_has_nothing_to_be_held_against() -> None:
    assert contrast(pool(("a", 1.0))).rejected is None


def test_a_response_is_never_contrasted_with_its_own_copy() -> None:
    assert contrast(pool(("a", 1.0), ("a", 1.0))).rejected is None
    pair = contrast(pool(("a", 1.0), ("b", 1.0), ("a", 1.0)))
    assert pair.rejected is not None
    assert pair.rejected.text == "b"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(-9, 9)), min_size=1))
def test_no_candidate_beats_the_chosen_and_none_with_another_text_is_below_the_rejected(
    drawn: list[tuple[str, float]],
) -> None:
    candidates = pool(*drawn)
    pair = contrast(candidates)
    assert all(c.reward <= pair.chosen.reward for c in candidates)
    others = [c for c in candidates if c.text != pair.chosen.text]
    assert (pair.rejected is None) == (not others)
    if pair.rejected is not None:
        assert pair.rejected.reward == min(c.reward for c in others)
