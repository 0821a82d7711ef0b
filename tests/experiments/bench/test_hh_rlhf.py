import pytest

from tests.experiments.bench.scripted import DATA
from tpo.errors import DataError
from tpo.experiments.bench.hh_rlhf import HH_RLHF, ROWS, dialogue
from tpo.experiments.bench.query_set import load_query_set


def test_a_dialogue_is_asked_up_to_its_last_answer() -> None:
    queries = load_query_set(HH_RLHF, str(DATA / "hh_rlhf.jsonl")).queries
    assert [q.id for q in queries] == [f"hh-rlhf-{i}" for i in range(4)]
    assert [m["role"] for m in queries[1].messages] == ["user", "assistant", "user"]
    assert queries[1].text == "Where does it end?"


def test_neighbours_of_one_role_are_one_turn_and_empty_ones_none() -> None:
    text = "\n\nHuman: a\n\nAssistant:\n\nHuman: b\n\nAssistant: c"
    assert dialogue(text, "x") == ({"role": "user", "content": "a\n\nb"},)


def test_a_dialogue_that_ends_in_two_answers_is_asked_up_to_the_question_before_them() -> None:
    text = "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d\n\nAssistant: e"
    assert [turn["content"] for turn in dialogue(text, "x")] == ["a", "b", "c"]


def test_an_empty_last_question_is_not_asked() -> None:
    text = "\n\nHuman: a\n\nAssistant: b\n\nHuman:\n\nAssistant: d"
    assert [turn["content"] for turn in dialogue(text, "x")] == ["a"]


def test_a_colon_inside_a_line_is_no_turn() -> None:
    text = "\n\nHuman: say Assistant: hello\nHuman: no\n\nAssistant: c"
    assert dialogue(text, "x") == ({"role": "user", "content": "say Assistant: hello\nHuman: no"},)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "\n\nHuman: a",
        "\n\nAssistant: a",
        "x\n\nHuman: a\n\nAssistant: b",
        "\n\nHuman:\n\nAssistant: b",
    ],
)
def test_what_is_no_dialogue_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(DataError, match=r"^rows:3: 'chosen'"):
        dialogue(text, "rows:3")


def test_of_the_published_split_five_hundred_are_asked() -> None:
    assert HH_RLHF.pick is not None
    assert len(HH_RLHF.pick(ROWS)) == HH_RLHF.size
