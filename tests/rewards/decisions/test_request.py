"""A request of a decision or grade shrinks to what its server takes."""

from __future__ import annotations

import pytest

from tpo.http import HttpClient, HttpFailure
from tpo.rewards.decisions.endpoint import DecisionServer
from tpo.rewards.decisions.request import FEW_ALTERNATIVES, Shape, json_forms
from tpo.types import system, user

FORMS = json_forms("grade", {"type": "object"})
FULL = Shape(FORMS)


def refused(words: str, status: int | None = 400) -> HttpFailure:
    return HttpFailure(words, status=status)


def smaller(shape: Shape, words: str, status: int | None = 400) -> Shape | None:
    return shape.without(refused(words, status), "http://schema.example")


def test_a_schema_becomes_an_object_with_a_schema_then_an_object_then_nothing() -> None:
    first = smaller(FULL, "response_format json_schema is not supported", 500)
    assert first is not None
    assert first.forms == FORMS[1:]
    second = smaller(first, "structured output is off")
    assert second is not None
    assert second.forms == ({"type": "json_object"},)
    third = smaller(second, "response_format is unknown")
    assert third is not None
    assert third.forms == ()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("top_logprobs must be at most 5", {"top_logprobs": FEW_ALTERNATIVES}),
        ("use max_completion_tokens", {"max_completion_tokens": 7}),
        ("temperature takes 1 alone", {"temperature": None, "seed": None}),
    ],
)
def test_only_what_the_words_name_changes(words: str, expected: dict[str, object]) -> None:
    shape = smaller(FULL, words)
    assert shape is not None
    bodies = [s.body("m", [user("x")], tokens=7, temperature=0.0, seed=3) for s in (FULL, shape)]
    for name, value in expected.items():
        assert bodies[1].get(name) == value
    names = bodies[0].keys() | bodies[1].keys()
    changed = {name for name in names if bodies[0].get(name) != bodies[1].get(name)}
    assert changed - {"max_tokens"} == set(expected)


def test_log_probabilities_are_given_up_when_few_are_refused_too() -> None:
    few = smaller(FULL, "logprobs")
    assert few is not None
    none = smaller(few, "logprobs are not supported", 500)
    assert none is not None
    assert "logprobs" not in none.body("m", [user("x")], tokens=7, temperature=0.0, seed=3)


@pytest.mark.parametrize(("words", "status"), [("schema", None), ("schema", 429), ("no idea", 400)])
def test_other_failures_change_nothing(words: str, status: int | None) -> None:
    assert smaller(FULL, words, status) is None
    assert smaller(FULL, "error from http://schema.example") is None


def test_a_system_text_moves_into_the_first_turn_where_the_role_is_refused() -> None:
    shape = smaller(FULL, "System role not supported")
    assert shape is not None
    body = shape.body("m", [system("Be fair."), user("Grade.")], tokens=7, temperature=0.0, seed=3)
    (turn,) = body["messages"]
    assert turn["role"] == "user"
    assert "Be fair." in turn["content"]
    assert "Grade." in turn["content"]


async def test_a_context_that_is_no_smaller_than_the_one_used_is_not_tried_without_end() -> None:
    server = DecisionServer(HttpClient("http://127.0.0.1:9"), "m", votes=1, max_tokens=8, thinks=None)
    refusal = HttpFailure("This model's maximum context length is 8192 tokens.", status=400)
    assert server.learn_context(refusal, None)
    asked: list[int | None] = []

    async def attempt(context: int | None) -> None:
        asked.append(context)
        assert len(asked) == 1
        raise refusal

    with pytest.raises(HttpFailure, match="8192"):
        await server.within_context(attempt, 4096)
