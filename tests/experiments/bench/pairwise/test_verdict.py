import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpo.experiments.bench.pairwise.verdict import FIRST_WINS, LABELS, Games, read_label

TURNED = {"A>>B": "B>>A", "A>B": "B>A", "A=B": "A=B", "B>A": "A>B", "B>>A": "A>>B"}
labels = st.sampled_from(sorted(FIRST_WINS))


@pytest.mark.parametrize("label", sorted(LABELS))
def test_every_label_is_read_from_double_brackets(label: str) -> None:
    assert read_label(f"Both are fine.\nMy verdict: [[{label}]].") == label


def test_the_last_label_counts_and_double_brackets_come_before_single_ones() -> None:
    assert read_label("at first [[A>B]], on reflection [[B>A]]") == "B>A"
    assert read_label("[[A>B]] and [B>A]") == "A>B"
    assert read_label("so [a=b]") == "A=B"


def test_thoughts_do_not_count() -> None:
    assert read_label("<think>[[A>>B]] maybe</think> [[B>A]]") == "B>A"
    assert read_label("<think>[[A>>B]]</think> I cannot say") is None
    assert read_label("<think>[[A>>B]] maybe, or") is None


@pytest.mark.parametrize(
    "reply", ["", "A is better", "[[A]]", "[[A>B>A]]", "[[A>B]] or rather [[<>]]", "[[]]"]
)
def test_a_reply_without_a_label_is_not_guessed_at(reply: str) -> None:
    assert read_label(reply) is None


@given(st.text())
def test_any_text_is_a_label_or_none(reply: str) -> None:
    assert read_label(reply) in {None, *LABELS}


def test_a_clear_win_counts_three_times_and_a_tie_half() -> None:
    assert Games("B>A", "A=B").battles == (1.0, 0.5)
    assert Games("A>>B", "A>B").battles == (0.0, 0.0, 0.0, 1.0)
    assert Games("A>>B", "A>B").share == 0.25
    assert Games("B<<A", "A<<B").battles == (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@given(labels)
def test_a_judge_that_looks_at_the_position_alone_gives_a_tie(label: str) -> None:
    assert Games(label, label).share == 0.5
    assert Games(label, label).verdict == "tie"


@given(labels)
def test_a_judge_that_looks_at_the_answers_alone_is_believed_whole(label: str) -> None:
    games = Games(label, TURNED[label])
    assert games.share == 1 - FIRST_WINS[label]
    assert games.verdict == {1.0: "win", 0.5: "tie", 0.0: "loss"}[games.share]


@given(labels, labels)
def test_who_is_called_the_model_does_not_matter(first: str, second: str) -> None:
    assert Games(first, second).share == pytest.approx(1 - Games(second, first).share)
