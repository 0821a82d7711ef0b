"""Selection by consensus."""

from __future__ import annotations

import pytest

from tpo.methods.consensus import Consensus, similarities
from tpo.types import Candidate, Query, Score, user

QUERY = Query("q", (user("?"),))


def chosen(*texts: str, rewards: dict[str, float] | None = None) -> str:
    pool = [Candidate(0, i, text, Score((rewards or {}).get(text, 0.0))) for i, text in enumerate(texts)]
    return Consensus().select(QUERY, pool).text


def test_similarity_adds_up_the_jaccard_indices_of_three_orders() -> None:
    matrix = similarities(["a b c", "A b c", "a b d", "x"])
    assert matrix[0][1] == 3.0
    assert matrix[0][2] == pytest.approx(2 / 4 + 1 / 3 + 0)
    assert matrix[0][3] == 0.0 + 0.0 + 0.0
    assert matrix[0][0] == 0.0


def test_the_most_central_response_of_the_larger_group_is_the_answer() -> None:
    majority = ("the party is on Friday at noon", "the party is on Friday at ten", "party on Friday at noon")
    minority = ("no idea what you mean", "no idea what to say")
    assert chosen(*minority, *majority) == majority[0]


def test_the_larger_group_counts_though_the_smaller_one_is_more_alike() -> None:
    twins = ("exactly the same words here", "exactly the same words here")
    group = ("one two three four", "one two three five", "one two six four")
    assert chosen(*twins, *group) in group


def test_of_equally_central_ones_the_higher_reward_is_the_answer() -> None:
    assert chosen("a", "b", rewards={"b": 1.0}) == "b"
    assert chosen("a") == "a"


@pytest.mark.parametrize(
    ("texts", "answers"),
    [
        (
            (
                "The answer is 42.",
                "The answer is surely 42.",
                "I think the answer is 42.",
                "17",
                "7",
                "yes",
            ),
            slice(0, 3),
        ),
        (("Paris is the capital.", "The capital is Paris.", "banana", "whatever"), slice(0, 2)),
        (("首都是巴黎。", "巴黎是法国的首都。", "我不知道", "香蕉"), slice(0, 2)),
        (("首都はパリです", "フランスの首都はパリです", "バナナ", "知りません"), slice(0, 2)),
        (("เมืองหลวงคือปารีส", "ปารีสคือเมืองหลวง", "ไม่รู้", "กล้วย"), slice(0, 2)),
    ],
)
def test_unrelated_short_responses_are_no_group(texts: tuple[str, ...], answers: slice) -> None:
    assert chosen(*texts) in texts[answers]
    assert chosen(*reversed(texts)) in texts[answers]


def test_orders_without_an_n_gram_in_either_text_do_not_count() -> None:
    matrix = similarities(["17", "7", "17", "17 apples", "17 pears"])
    assert matrix[0][1] == 0.0
    assert matrix[0][2] == 3.0
    assert matrix[0][3] == pytest.approx((1 / 2 + 0) * 3 / 2)
    assert matrix[3][4] == pytest.approx((1 / 3 + 0) * 3 / 2)


def test_a_character_of_a_script_without_spaces_is_a_word() -> None:
    matrix = similarities(["巴黎是首都", "巴黎 是 首 都", "vLLM是", "vLLM 是"])
    assert matrix[0][1] == matrix[2][3] == 3.0
