"""A row becomes a query, or an error that says where and what to do."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpo.data import ReadOptions
from tpo.data.row import Row
from tpo.data.to_query import to_query
from tpo.errors import DataError
from tpo.types import Query

TURN = {"role": "user", "content": "hi"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def query(value: object, column: str | None = None) -> Query:
    return to_query(Row("a.jsonl:37", value), "q4", ReadOptions(column=column))


def refusal(value: object, column: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        query(value, column)
    message = str(caught.value)
    assert message.startswith("a.jsonl:37: ")
    return message


def test_a_text_is_a_users_turn() -> None:
    assert query("hello") == Query("q4", ({"role": "user", "content": "hello"},))


def test_id_and_reference_are_taken_and_the_rest_is_metadata() -> None:
    found = query({"prompt": "hello", "id": 9, "reference": "hi", "level": 3, "tags": ["a"]})
    assert found == Query("9", ({"role": "user", "content": "hello"},), "hi", {"level": 3, "tags": ["a"]})


def test_null_id_and_reference_are_as_good_as_absent() -> None:
    found = query({"prompt": "hello", "id": None, "reference": None})
    assert (found.id, found.reference, found.metadata) == ("q4", None, {})


def test_messages_are_kept_unchanged() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a", "name": "Ann"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "b"}, IMAGE]},
    ]
    assert list(query({"messages": messages}).messages) == messages


@pytest.mark.parametrize("column", ["messages", "conversations", "conversation"])
def test_messages_as_json_text_are_a_conversation(column: str) -> None:
    assert query({column: json.dumps([TURN])}).messages == (TURN,)
    assert query({column: json.dumps([TURN])}, column).messages == (TURN,)
    assert query({column: "[a] hi"}).text == "[a] hi"
    assert f"'{column}' begins like a list of messages and is not JSON" in refusal({column: str([TURN])})


def test_a_prompt_may_be_a_conversation() -> None:
    assert query({"prompt": [TURN]}).messages == (TURN,)


def test_nulls_that_columns_fill_in_are_dropped_from_turns_and_parts() -> None:
    turn = {"role": "user", "name": None, "content": [{"type": "text", "text": "b", "image_url": None}]}
    assert query({"messages": [turn]}).messages == (
        {"role": "user", "content": [{"type": "text", "text": "b"}]},
    )


def test_a_column_of_another_name_is_used_and_prompt_is_then_metadata() -> None:
    found = query({"question": "hello", "prompt": "other"}, "question")
    assert (found.text, found.metadata) == ("hello", {"prompt": "other"})


def test_a_null_prompt_leaves_the_word_to_messages() -> None:
    assert query({"prompt": None, "messages": [TURN]}).text == "hi"


@pytest.mark.parametrize(
    ("value", "column", "message"),
    [
        (3, None, "not a number"),
        (None, None, "not null"),
        (["a"], None, "not a list"),
        ("", None, "the query is empty"),
        (" \n", None, "the query is empty"),
        ({}, None, "there are no columns at all"),
        ({"question": "a", "x": 1}, None, "neither 'prompt' nor 'messages' here; there are 'question', 'x'"),
        ({"question": "a"}, "prompt", "no 'prompt' here; there are 'question'"),
        ({"prompt": "a", "messages": [TURN]}, None, "choose one with --column"),
        ({"prompt": None}, "prompt", "'prompt' is empty"),
        ({"prompt": 3}, None, "must be a text or a list of messages, not a number"),
        ({"messages": []}, None, "one message at least"),
        ({"messages": "x", "id": ""}, None, "'id' must be"),
        ({"messages": [TURN], "id": True}, None, "'id' must be"),
        ({"messages": [TURN], "id": [1]}, None, "'id' must be"),
        (
            {"messages": [TURN], "reference": ["a"]},
            None,
            "'reference' must be a text or a number, not a list",
        ),
        ({"messages": ["hi"]}, None, "'messages', message 1 must be an object"),
        ({"messages": [TURN, {"content": "a"}]}, None, "'messages', message 2 has no 'role'"),
        ({"messages": [{"role": "user"}]}, None, "has no 'content'"),
        ({"messages": [{"role": "user", "content": 3}]}, None, "has no 'content'"),
        ({"messages": [{"role": "user", "content": []}]}, None, "has no 'content'"),
        ({"messages": [{"role": "user", "content": ["a"]}]}, None, "part 1 must be an object, not str"),
        ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, None, "part 1 has no 'type'"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, None, "has no 'text'"),
        ({"messages": [{"role": "user", "content": ""}]}, None, "ends with an empty turn"),
        ({"messages": [TURN, {"role": "assistant", "content": "a"}]}, None, "must end with a user's turn"),
    ],
)
def test_what_is_wrong_is_said(value: Any, column: str | None, message: str) -> None:
    assert message in refusal(value, column)


def test_metadata_is_put_into_jsons_terms() -> None:
    found = query(
        {
            "prompt": "a",
            "day": dt.date(2025, 1, 2),
            "blob": b"1234",
            "gap": float("nan"),
            "pair": (1, 2),
        }
    )
    assert found.metadata == {"day": "2025-01-02", "blob": "<4 bytes>", "gap": None, "pair": [1, 2]}


def test_a_number_may_be_the_reference() -> None:
    assert query({"prompt": "a", "reference": 7}).reference == "7"
    assert query({"prompt": "a", "reference": float("nan")}).reference is None


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: object = 1
    for _ in range(5000):
        deep = [deep]
    assert "nested too deeply" in refusal({"prompt": "a", "x": deep})


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"y": value}, lambda value: (value,)])
def test_a_column_has_at_most_100_levels(wrap: Callable[[Any], Any]) -> None:
    deep: Any = 1
    for _ in range(100):
        deep = wrap(deep)
    assert list(query({"prompt": "a", "x": deep}).metadata) == ["x"]
    assert "nested too deeply: a column may have 100 levels" in refusal({"prompt": "a", "x": wrap(deep)})
    turn = {"role": "user", "content": "a", "extra": wrap(deep)}
    assert "nested too deeply" in refusal({"messages": [turn]})


Anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "name"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["prompt", "messages", "id", "reference", "x"]), Anything))
def test_any_row_becomes_a_query_that_json_can_hold_or_a_data_error(value: dict[str, Any]) -> None:
    try:
        found = query(value)
    except DataError:
        return
    assert found.messages[-1]["role"] == "user"
    json.dumps([found.messages, found.metadata], allow_nan=False)


SHARE_GPT = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}, {"from": "human", "value": "c"}]


def test_a_nested_column_is_used_and_leaves_its_siblings_as_metadata() -> None:
    found = to_query(
        Row("a", {"body": {"messages": [TURN], "lang": "en"}}), "q", ReadOptions(column="body.messages")
    )
    assert (found.messages, found.metadata) == ((TURN,), {"body": {"lang": "en"}})


def test_sharegpt_turns_become_messages() -> None:
    found = query({"conversations": SHARE_GPT, "source": "x"})
    assert [(m["role"], m["content"]) for m in found.messages] == [
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
    ]
    assert found.metadata == {"source": "x"}


def test_sharegpts_system_text_is_a_turn() -> None:
    found = query({"system": "Be brief.", "conversations": SHARE_GPT})
    assert found.messages[0] == {"role": "system", "content": "Be brief."}
    assert found.metadata == {}


def test_an_unknown_speaker_is_refused() -> None:
    assert "is from 'observation'; known speakers are human" in refusal(
        {"conversations": [{"from": "observation", "value": "x"}]}
    )


@pytest.mark.parametrize(
    ("value", "text", "reference"),
    [
        ({"instruction": "Sum up.", "input": "long", "output": "short"}, "Sum up.\n\nlong", "short"),
        ({"instruction": "Sum up.", "input": "", "output": "short"}, "Sum up.", "short"),
        ({"instruction": "Sum up.", "input": None}, "Sum up.", None),
        ({"instruction": "Why?", "context": "long", "response": "short"}, "Why?\n\nlong", "short"),
        ({"instruction": "Why?"}, "Why?", None),
    ],
)
def test_alpacas_input_is_part_of_the_prompt_and_its_output_the_reference(
    value: dict[str, str], text: str, reference: str | None
) -> None:
    found = query({**value, "category": "x"})
    assert (found.text, found.reference, found.metadata) == (text, reference, {"category": "x"})


def test_alpacas_history_and_system_text_come_first() -> None:
    found = query({"instruction": "c", "history": [["a", "b"]], "system": "s"})
    assert [m["content"] for m in found.messages] == ["s", "a", "b", "c"]
    assert "'history' must be a list of pairs" in refusal({"instruction": "c", "history": ["a"]})


def test_a_reference_of_the_rows_own_leaves_alpacas_output_as_metadata() -> None:
    found = query({"instruction": "a", "output": "b", "reference": "c"})
    assert (found.reference, found.metadata) == ("c", {"output": "b"})


def test_a_prompt_comes_before_an_instruction() -> None:
    assert query({"prompt": "a", "instruction": "b", "input": "c"}).text == "a"


def test_the_last_answers_are_dropped_and_become_the_reference() -> None:
    turns = [TURN, {"role": "assistant", "content": "b"}, {"role": "assistant", "content": "c"}]
    found = to_query(Row("a", {"messages": turns}), "q", ReadOptions(drop_last_assistant=True))
    assert (found.messages, found.reference) == ((TURN,), "b\n\nc")


def test_a_conversation_of_answers_alone_is_refused() -> None:
    row = Row("a.jsonl:37", {"messages": [{"role": "assistant", "content": "b"}]})
    with pytest.raises(DataError, match="'messages' holds the assistant's turns alone"):
        to_query(row, "q", ReadOptions(drop_last_assistant=True))


def test_a_final_answer_names_the_option_that_leaves_it_out() -> None:
    assert "--drop-last-assistant" in refusal({"messages": [TURN, {"role": "assistant", "content": "b"}]})


def test_a_template_makes_the_prompt_of_columns() -> None:
    row = Row("a", {"instruction": "Sum up.", "input": None, "n": 3, "x": 1})
    found = to_query(row, "q", ReadOptions(template=r"{instruction}\n\n{input}({n})"))
    assert (found.text, found.metadata) == ("Sum up.\n\n(3)", {"x": 1})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": None, "b": " "}, "the columns of --template are empty: 'a', 'b'"),
        ({"a": "x"}, "no 'b' here; there are 'a'"),
        ({"a": ["x"], "b": "y"}, "'a' must be a text or a number for --template, not a list"),
        ("a text", "--template needs columns, and this row is a text"),
    ],
)
def test_a_template_that_a_row_cannot_fill_is_said(value: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        to_query(Row("a.jsonl:37", value), "q", ReadOptions(template="{a} and {b}"))
    assert str(caught.value) == f"a.jsonl:37: {message}"


@pytest.mark.parametrize("value", ["hi", {"prompt": "hi"}, {"messages": [TURN]}, {"instruction": "hi"}])
def test_a_system_text_is_put_first(value: object) -> None:
    found = to_query(Row("a", value), "q", ReadOptions(system="Be brief."))
    assert [m["role"] for m in found.messages] == ["system", "user"]
    assert found.messages[0]["content"] == "Be brief."


def test_a_system_text_of_the_rows_own_stands() -> None:
    own = {"role": "system", "content": "own"}
    found = to_query(Row("a", {"messages": [own, TURN]}), "q", ReadOptions(system="Be brief."))
    assert found.messages == (own, TURN)


def test_a_null_prompt_is_called_empty_not_missing() -> None:
    assert refusal({"prompt": None}) == "a.jsonl:37: 'prompt' is empty (null)"
    assert refusal({"prompt": None, "question": "a"}) == "a.jsonl:37: 'prompt' is empty (null)"
