"""What was read is found again by what goes on from it, and never more than the budget is kept."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tpo.policies.local.cache import Kept
from tpo.policies.local.prefixes import LEAST, Prefixes

TALK = tuple(range(100))


def kept(count: int, mark: float = 0.0) -> Kept:
    return Kept(count, ((torch.full((1, count, 2), mark), torch.full((1, count, 2), mark)),))


def test_what_goes_on_from_a_kept_text_finds_it() -> None:
    prefixes = Prefixes(1_000)
    prefixes.keep(TALK, kept(99))
    found = prefixes.find((*TALK, 7, 8))
    assert found is not None
    assert found.count == 99
    assert prefixes.spared == 99


def test_only_what_is_the_same_is_handed_out() -> None:
    prefixes = Prefixes(1_000)
    prefixes.keep(TALK, kept(100))
    found = prefixes.find((*TALK[:60], 500, 501))
    assert found is not None
    assert (found.count, found.layers[0][0].shape) == (60, (1, 60, 2))


def test_a_token_is_always_left_to_read() -> None:
    prefixes = Prefixes(1_000)
    prefixes.keep(TALK, kept(100))
    found = prefixes.find(TALK)
    assert found is not None
    assert found.count == 99


def test_the_longest_is_found() -> None:
    prefixes = Prefixes(1_000)
    prefixes.keep((*TALK[:50], 900), kept(51, mark=1.0))
    prefixes.keep((*TALK[:70], 901), kept(71, mark=2.0))
    found = prefixes.find(TALK)
    assert found is not None
    assert (found.count, float(found.layers[0][0].max())) == (70, 2.0)


def test_a_few_tokens_in_common_are_not_worth_it() -> None:
    prefixes = Prefixes(1_000)
    prefixes.keep(TALK[: LEAST - 1], kept(LEAST - 1))
    assert prefixes.find(TALK) is None
    assert prefixes.find(tuple(range(500, 600))) is None


def test_a_text_takes_the_place_of_what_it_goes_on_from() -> None:
    prefixes = Prefixes(150)
    prefixes.keep(TALK[:60], kept(60))
    prefixes.keep(TALK, kept(100))
    prefixes.keep(tuple(range(500, 550)), kept(50))
    found = prefixes.find((*TALK, 1))
    assert found is not None
    assert found.count == 100


def test_what_was_used_last_stays() -> None:
    prefixes = Prefixes(200)
    prefixes.keep(TALK, kept(100))
    prefixes.keep(tuple(range(500, 600)), kept(100))
    prefixes.find((*TALK, 1))
    prefixes.keep(tuple(range(700, 800)), kept(100))
    assert prefixes.find((*TALK, 1)) is not None
    assert prefixes.find(tuple(range(500, 601))) is None


def test_nothing_is_found_once_all_is_forgotten() -> None:
    prefixes = Prefixes(200)
    prefixes.keep(TALK, kept(100))
    prefixes.clear()
    assert prefixes.find((*TALK, 1)) is None


@given(st.lists(st.lists(st.integers(0, 1), min_size=LEAST, max_size=3 * LEAST), max_size=12))
def test_no_more_is_kept_than_the_budget_and_all_that_is_found_is_a_prefix(texts: list[list[int]]) -> None:
    prefixes, seen = Prefixes(4 * LEAST), list[tuple[int, ...]]()
    for text in map(tuple, texts):
        found = prefixes.find(text)
        if found is not None:
            assert any(one[: found.count] == text[: found.count] for one in seen)
            assert LEAST <= found.count < len(text)
        prefixes.keep(text, kept(len(text)))
        seen.append(text)
        assert prefixes.held <= 4 * LEAST
