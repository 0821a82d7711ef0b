"""Which two responses make a pair."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.export.trajectories import candidate, failed, finished
from tests.steps import first_step
from tpo.errors import ConfigError
from tpo.export import Eligible, Pairing, Steps
from tpo.export.pairing import CHOICES
from tpo.methods.contrast import contrast
from tpo.types import Candidate, Trajectory


def ids(pairing: Pairing, trajectory: Trajectory | None = None) -> list[tuple[str, str]]:
    found = pairing.pairs(finished() if trajectory is None else trajectory)
    return [(pair.chosen.id, pair.rejected.id) for pair in found]


def pool(*responses: Candidate) -> Trajectory:
    return replace(finished(), first=first_step(responses), steps=())


def test_best_worst_is_the_contrast_of_the_method() -> None:
    pair = contrast(finished().pool)
    assert pair.rejected is not None
    assert ids(Pairing()) == [(pair.chosen.id, pair.rejected.id)] == [("1.0", "0.1")]


def test_best_first_holds_the_best_against_the_first_sample() -> None:
    assert ids(Pairing("best-first")) == [("1.0", "0.0")]


def test_the_first_sample_is_the_one_of_the_lowest_index_in_whatever_order_they_came() -> None:
    late = pool(candidate(0, 1, "b", 2.0), candidate(0, 0, "a", 1.0))
    assert ids(Pairing("best-first"), late) == [("0.1", "0.0")]


def test_all_holds_each_two_texts_once_the_better_one_chosen() -> None:
    assert ids(Pairing("all")) == [("0.0", "0.1"), ("1.0", "0.0"), ("1.0", "0.1")]


@pytest.mark.parametrize("choice", CHOICES)
def test_equal_texts_and_equal_rewards_make_no_pair(choice: str) -> None:
    assert ids(Pairing(choice), pool(candidate(0, 0, "a", 1.0), candidate(0, 1, "a", 2.0))) == []
    assert ids(Pairing(choice), pool(candidate(0, 0, "a", 1.0), candidate(0, 1, "b", 1.0))) == []


@pytest.mark.parametrize("choice", CHOICES)
def test_a_pool_of_one_or_none_makes_no_pair(choice: str) -> None:
    assert ids(Pairing(choice), pool(candidate(0, 0, "a", 1.0))) == []
    assert ids(Pairing(choice), failed()) == []


def test_the_margin_is_the_least_that_is_kept() -> None:
    assert ids(Pairing("all", min_margin=3.5)) == [("1.0", "0.0"), ("1.0", "0.1")]
    assert ids(Pairing("all", min_margin=3.6)) == [("1.0", "0.1")]


def test_the_length_ratio_holds_whichever_text_is_the_longer() -> None:
    short, long = candidate(0, 0, "ab", 1.0), candidate(0, 1, "abcd", 2.0)
    for texts in (pool(short, long), pool(replace(short, text="abcd"), replace(long, text="ab"))):
        assert ids(Pairing(max_length_ratio=2), texts) == [("0.1", "0.0")]
        assert ids(Pairing(max_length_ratio=1.9), texts) == []


def test_an_empty_text_is_longer_and_shorter_than_any_ratio() -> None:
    empty = pool(candidate(0, 0, "", 1.0), candidate(0, 1, "a", 2.0))
    assert ids(Pairing(max_length_ratio=100), empty) == []
    assert ids(Pairing(), empty) == [("0.1", "0.0")]


def test_steps_and_length_choose_among_responses_before_pairs_are_formed() -> None:
    assert ids(Pairing(eligible=Eligible(Steps.parse("0")))) == [("0.0", "0.1")]
    assert ids(Pairing(eligible=Eligible(Steps.parse("1")))) == [("1.0", "1.2")]
    assert ids(Pairing(eligible=Eligible(max_characters=7))) == [("0.0", "0.1")]


def test_the_first_sample_of_best_first_may_be_of_a_step_that_is_not_asked_for_but_not_too_long() -> None:
    assert ids(Pairing("best-first", eligible=Eligible(Steps.parse("1-")))) == [("1.0", "0.0")]
    long = pool(candidate(0, 0, "too long", 0.0), candidate(0, 1, "short", 1.0))
    assert ids(Pairing("best-first", eligible=Eligible(max_characters=5)), long) == []


def test_a_first_sample_that_no_later_one_beats_is_never_rejected() -> None:
    best = replace(finished(), first=first_step([candidate(0, 0, "best", 9.0)]))
    assert ids(Pairing("best-first", eligible=Eligible(Steps.parse("1-"))), best) == []


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Pairing("worst"), "--pairs is one of best-worst, best-first, all, not 'worst'"),
        (lambda: Pairing(min_margin=-0.1), "--min-margin must be a number from 0 on, not -0.1"),
        (lambda: Pairing(min_margin=float("nan")), "--min-margin must be a number from 0 on, not nan"),
        (lambda: Pairing(min_margin=float("inf")), "--min-margin must be a number from 0 on, not inf"),
        (lambda: Pairing(max_length_ratio=0.5), "--max-length-ratio must be 1 or more, not 0.5"),
        (lambda: Pairing(max_length_ratio=float("nan")), "--max-length-ratio must be 1 or more, not nan"),
    ],
)
def test_a_value_out_of_its_range_is_told_in_one_sentence(build: object, message: str) -> None:
    assert callable(build)
    with pytest.raises(ConfigError) as error:
        build()
    assert str(error.value) == message


responses = st.tuples(st.sampled_from(["", "a", "b", "a longer one"]), st.floats(-5, 5))


@given(st.lists(responses, max_size=6), st.sampled_from(list(CHOICES)), st.floats(0, 3))
def test_no_pair_is_ever_of_equal_texts_below_the_margin_or_twice(
    texts: list[tuple[str, float]], choice: str, margin: float
) -> None:
    trajectory = pool(*(candidate(0, i, text, reward) for i, (text, reward) in enumerate(texts)))
    pairs = list(Pairing(choice, min_margin=margin).pairs(trajectory))
    assert all(pair.chosen.text != pair.rejected.text for pair in pairs)
    assert all(pair.margin > 0 and pair.margin >= margin for pair in pairs)
    assert len({(pair.chosen.text, pair.rejected.text) for pair in pairs}) == len(pairs)


@pytest.mark.parametrize("choice", ["best-worst", "best-first", "all"])
def test_a_blank_response_is_never_chosen(choice: str) -> None:
    blank, better, worse = candidate(0, 1, " ", 2.0), candidate(0, 2, "a", 1.0), candidate(0, 0, "b", 0.0)
    assert ids(Pairing(choice), pool(worse, blank, better)) == [("0.2", "0.0")]
