import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.experiments.bench.pairwise.judges import answer
from tpo.experiments.bench.graders.base import Grade, GradedAnswer, ungraded
from tpo.experiments.bench.pairwise.verdict import FIRST_WINS, Games
from tpo.experiments.bench.pairwise.winrate import authors_interval, win_rate


def graded(uid: str, first: str, second: str, seed: int = 7) -> GradedAnswer:
    games = Games(first, second)
    return GradedAnswer(answer(uid, seed=seed), Grade(games.share, games.verdict, {"games": [first, second]}))


def bradley_terry(battles: Sequence[float]) -> float:
    """The chance to win by the strength that makes *battles* likeliest, found by Newton's steps."""
    strength = 0.0
    for _ in range(60):
        chance = 1 / (1 + math.exp(-strength))
        slope = sum(worth - chance for worth in battles)
        strength += slope / (len(battles) * chance * (1 - chance))
    return 1 / (1 + math.exp(-strength))


def test_the_rate_is_the_share_of_battles_not_of_queries() -> None:
    rows = [graded("a", "B>>A", "A>>B"), graded("b", "A>B", "B>A")]
    metric = win_rate("win_rate", rows, tail=2.5)
    assert metric.value == pytest.approx(100 * 6 / 8)
    assert (metric.unit, metric.graded, metric.ungraded) == ("%", 2, 0)


def test_a_judge_that_always_prefers_the_first_gives_half() -> None:
    rows = [graded(f"q{i}", "A>>B" if i % 3 else "A>B", "A>>B" if i % 3 else "A>B") for i in range(20)]
    metric = win_rate("win_rate", rows, tail=2.5)
    assert (metric.value, metric.low, metric.high) == (50.0, 50.0, 50.0)


@given(st.lists(st.tuples(*[st.sampled_from(sorted(FIRST_WINS))] * 2), min_size=2, max_size=12))
def test_the_rate_is_what_a_bradley_terry_fit_tells(pairs: list[tuple[str, str]]) -> None:
    rows = [graded(f"q{i}", *pair) for i, pair in enumerate(pairs)]
    battles = [worth for pair in pairs for worth in Games(*pair).battles]
    rate = win_rate("win_rate", rows, tail=5).value
    if 0.1 < sum(battles) / len(battles) < 0.9:  # at 0 and 1 the likeliest strength is infinite
        assert rate == pytest.approx(100 * bradley_terry(battles))


def test_what_is_ungraded_is_counted_and_left_out() -> None:
    rows = [graded("a", "B>A", "A>B"), GradedAnswer(answer("b"), ungraded("nonsense"))]
    metric = win_rate("win_rate", rows, tail=2.5, by="j")
    assert (metric.value, metric.graded, metric.ungraded, metric.by) == (100.0, 1, 1, "j")


def test_nothing_graded_is_no_number() -> None:
    metric = win_rate(
        "win_rate", [GradedAnswer(answer("b"), ungraded("nonsense"))], tail=2.5, note="against x"
    )
    assert (metric.value, metric.ungraded) == (None, 1)
    assert metric.note == "nothing could be graded; against x"


def test_seeds_of_a_query_are_drawn_together() -> None:
    rows = [graded("a", "B>A", "A>B", seed) for seed in range(40)]
    rows += [graded("b", "A>B", "B>A", seed) for seed in range(40)]
    metric = win_rate("win_rate", rows, tail=2.5)
    assert (metric.low, metric.high) == (0.0, 100.0)


def test_the_authors_interval_is_told_beside_with_its_level() -> None:
    rows = [graded(f"q{i}", "B>A" if i % 2 else "A>B", "A=B") for i in range(50)]
    assert "(100 draws of battles, 95%): " in win_rate("win_rate", rows, tail=2.5).note
    assert "(100 draws of battles, 90%): " in win_rate("win_rate", rows, tail=5).note


def test_the_authors_interval_repeats_and_narrows_with_a_longer_tail() -> None:
    battles = [1.0, 0.0, 0.5] * 100
    wide, narrow = authors_interval(battles, 2.5), authors_interval(battles, 5)
    assert wide == authors_interval(battles, 2.5)
    assert wide[0] <= narrow[0] < 50 < narrow[1] <= wide[1]
    # The standard error of a mean of 300 such battles is 2.36 points.
    assert 3.0 < narrow[1] - 50 < 5.5
