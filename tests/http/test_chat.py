from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpo.errors import ConfigError
from tpo.http import HttpFailure
from tpo.http.chat import (
    checked_extra,
    read_completions,
    read_finish,
    read_usage,
    request_body,
)
from tpo.http.refusals import other_limit_field
from tpo.types import ExtendedSampling, Sampling, ToolCallCompletion, Usage, WeighedSampling, user


def reply(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": i, "message": m} for i, m in enumerate(messages)]} | fields


def test_a_request_says_how_to_draw_and_n_only_if_several() -> None:
    body = request_body("m", (user("hi"),), Sampling(1, 0.5, 0.9, 100, 3), {})
    assert body == {
        "model": "m",
        "messages": [user("hi")],
        "stream": False,
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 100,
        "seed": 3,
    }
    assert request_body("m", (), Sampling(n=2), {})["n"] == 2


def test_extra_fields_win_and_none_leaves_a_field_out() -> None:
    body = request_body("m", (), Sampling(), {"top_k": 20, "seed": None})
    assert body["top_k"] == 20
    assert "seed" not in body


def test_extra_fields_may_not_touch_what_replies_are_read_by() -> None:
    with pytest.raises(ConfigError, match="n, stream"):
        checked_extra({"stream": True, "n": 3, "top_k": 1})


@pytest.mark.parametrize("content", [None, "", [], 3])
def test_content_that_is_null_or_empty_is_an_empty_text(content: object) -> None:
    assert read_completions(reply({"content": content}), 1)[0].text == ""


def test_content_in_parts_is_joined_and_a_refusal_is_what_was_said() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    assert read_completions(reply({"content": parts}), 1)[0].text == "ab"
    assert read_completions(reply({"content": None, "refusal": "no"}), 1)[0].text == "no"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_apart(name: str) -> None:
    completion = read_completions(reply({"content": "answer", name: "thought"}), 1)[0]
    assert (completion.text, completion.reasoning) == ("answer", "thought")


def test_more_choices_than_asked_are_left_and_odd_indices_are_put_right() -> None:
    rows = reply({"content": "a"}, {"content": "b"}, {"content": "c"})
    assert [c.text for c in read_completions(rows, 2)] == ["a", "b"]
    for row in rows["choices"]:
        row["index"] = 0
    assert [(c.index, c.text) for c in read_completions(rows, 3)] == [(0, "a"), (1, "b"), (2, "c")]


def test_the_usage_stands_with_the_first_completion_alone() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}}
    first, second = read_completions(reply({"content": "a"}, {"content": "b"}, usage=usage), 2)
    assert first.usage == Usage(1, 9, 8, 4)
    assert second.usage == Usage()


def test_tokens_that_llama_cpp_leaves_out_are_estimated_by_the_length_of_the_texts() -> None:
    rows = reply({"content": "abcd"}, {"content": "abcdef"}, {"content": ""}, usage={"completion_tokens": 8})
    counted = read_completions(rows | {"timings": {"predicted_n": 8}}, 3)
    assert [each.usage.completion_tokens for each in counted] == [8, 12, 0]
    assert [each.usage.calls for each in counted] == [1, 0, 0]
    whole = read_completions(rows | {"timings": {"predicted_n": 4}}, 3)
    assert [each.usage.completion_tokens for each in whole] == [8, 0, 0]


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None, "prompt_tokens_details": None}, "x"])
def test_a_usage_that_is_missing_counts_the_call_alone(usage: object) -> None:
    assert read_usage(usage) == Usage(calls=1)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", "stop"),
        ("end_turn", "stop"),
        ("length", "length"),
        ("content_filter", "other"),
        (None, "other"),
    ],
)
def test_finish_reasons_are_told_in_our_words(reason: str | None, expected: str) -> None:
    assert read_finish(reason) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["index", "message", "content"]), inner),
    max_leaves=5,
)


@settings(deadline=None, max_examples=50)
@given(JSON | st.fixed_dictionaries({"choices": st.lists(JSON), "usage": JSON}), st.integers(1, 3))
def test_any_json_is_completions_or_a_failure_that_passes(value: Any, n: int) -> None:
    try:
        completions = read_completions(value, n)
    except HttpFailure as failure:
        assert failure.passes  # noqa: PT017 - either outcome is right, each with its promise
    else:
        indices = [c.index for c in completions]
        assert indices == sorted(set(indices))
        assert 0 <= indices[0] <= indices[-1] < n


@pytest.mark.parametrize(
    ("reason", "status", "expected"),
    [
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model.",
            400,
            "max_completion_tokens",
        ),
        ("max_tokens: Extra inputs are not permitted", 422, "max_completion_tokens"),
        ("'max_tokens' or 'max_completion_tokens' is too large: 5000", 400, None),
        ("This model's maximum context length is 8192 tokens", 400, None),
        ("unknown parameter top_k", 400, None),
        ("max_tokens is not supported", 500, None),
    ],
)
def test_only_a_limit_that_is_not_taken_at_all_has_its_name_changed(
    reason: str, status: int, expected: str | None
) -> None:
    assert other_limit_field(HttpFailure(reason, status=status), "max_tokens") == expected


def test_log_probabilities_are_asked_for_by_a_weighed_draw_alone() -> None:
    body = request_body("m", (user("q"),), WeighedSampling(max_tokens=1, alternatives=5), {})
    assert (body["logprobs"], body["top_logprobs"]) == (True, 5)
    assert "logprobs" not in request_body("m", (user("q"),), Sampling(), {})


def test_alternatives_are_read_token_by_token() -> None:
    tokens = [
        {"token": "m", "top_logprobs": [{"token": "m", "logprob": -0.5}, {"token": "M", "logprob": -1}]}
    ]
    choices = [{"message": {"content": "m"}, "logprobs": {"content": tokens}}]
    assert read_completions({"choices": choices}, 1)[0].alternatives == ({"m": -0.5, "M": -1.0},)


@pytest.mark.parametrize("logprobs", [None, [], {}, {"content": None}, {"content": "x"}])
def test_a_choice_without_log_probabilities_has_no_alternatives(logprobs: object) -> None:
    choices = [{"message": {"content": "m"}, "logprobs": logprobs}]
    assert read_completions({"choices": choices}, 1)[0].alternatives == ()


@pytest.mark.parametrize(
    "token", [None, {}, {"top_logprobs": [1, {"token": 1}, {"token": "a", "logprob": float("nan")}]}]
)
def test_odd_log_probabilities_are_left_out(token: object) -> None:
    choices = [{"message": {"content": "m"}, "logprobs": {"content": [token]}}]
    assert read_completions({"choices": choices}, 1)[0].alternatives == ({},)


def test_fields_of_one_call_stand_behind_the_policys_own_extra_fields() -> None:
    sampling = ExtendedSampling(extra={"stop": ["END"], "top_k": 3, "temperature": 0.1})
    body = request_body("m", (user("hi"),), sampling, {"top_k": 5})
    assert (body["stop"], body["top_k"], body["temperature"]) == (["END"], 5, 0.1)


def test_a_choice_that_calls_tools_keeps_the_calls_as_they_came() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    found = read_completions(
        reply({"content": None, "tool_calls": [call]}, {"content": "x", "tool_calls": []}), 2
    )
    assert isinstance(found[0], ToolCallCompletion)
    assert (found[0].text, found[0].tool_calls) == ("", (call,))
    assert type(found[1]) is not ToolCallCompletion
