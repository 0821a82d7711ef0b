"""Which responses a training set takes."""

import re

import pytest

from tests.export.trajectories import candidate, finished
from tpo.errors import ConfigError
from tpo.export import Eligible, Steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [("0", [0]), ("1,3", [1, 3]), ("1-2", [1, 2]), ("2-", [2, 3, 4]), ("0, 3-", [0, 3, 4]), ("2-2", [2])],
)
def test_steps_are_numbers_and_spans(text: str, steps: list[int]) -> None:
    assert [step for step in range(5) if step in Steps.parse(text)] == steps


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "1,,2", "1--2", "٣", "1;", "9" * 10])
def test_what_is_no_step_is_told_what_a_step_looks_like(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"--steps takes steps such as .* not {re.escape(repr(text))}"):
        Steps.parse(text)


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ConfigError, match="--steps 0,3-1: 3-1 ends before it begins"):
        Steps.parse("0,3-1")


def test_the_pool_is_taken_by_step_and_length_in_its_order() -> None:
    pool = finished().pool
    assert Eligible().of(pool) == pool
    assert [c.id for c in Eligible(Steps.parse("1")).of(pool)] == ["1.0", "1.2"]
    assert [c.id for c in Eligible(max_characters=7).of(pool)] == ["0.0", "0.1", "1.2"]


def test_length_is_counted_in_characters_not_bytes() -> None:
    assert Eligible(max_characters=2).short(candidate(0, 0, "éé", 0.0))


def test_no_length_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="--max-chars must be 1 or more, not 0"):
        Eligible(max_characters=0)


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_blank_response_is_not_eligible_as_the_best(text: str) -> None:
    pool = (candidate(0, 0, text, 9.0), candidate(0, 1, "a", 1.0), candidate(0, 2, text, 0.5))
    assert Eligible().of(pool) == pool[1:]
    assert Eligible().of(pool[:1]) == ()
