"""Streams that a server sends although it was asked for one reply."""

import json

import pytest

from tpo.http.sse import EventReader, is_stream, joined


def stream(*events: object, end: str = "data: [DONE]\n\n") -> bytes:
    return ("".join(f"data: {json.dumps(event)}\n\n" for event in events) + end).encode()


def piece(text: str, index: int = 0, finish: str | None = None) -> dict[str, object]:
    return {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]}


@pytest.mark.parametrize("body", [b"data: {}", b"\n: keep-alive\n\ndata: {}", b"event: x\ndata: {}"])
def test_events_are_told_from_json(body: bytes) -> None:
    assert is_stream(body)
    assert not is_stream(b'{"data": []}')


def test_pieces_of_several_choices_are_joined_in_the_order_of_indices() -> None:
    usage: dict[str, object] = {"choices": [], "usage": {"completion_tokens": 4}, "model": None}
    whole = joined(stream(piece("B", 1), piece("A"), piece("b", 1, "length"), piece("a", 0, "stop"), usage))
    texts = [choice["message"]["content"] for choice in whole["choices"]]
    assert texts == ["Aa", "Bb"]
    assert [choice["finish_reason"] for choice in whole["choices"]] == ["stop", "length"]
    assert whole["usage"] == {"completion_tokens": 4}
    assert "model" not in whole


def test_tokens_that_llama_cpp_counts_for_each_choice_are_added() -> None:
    def counted(tokens: int) -> dict[str, object]:
        usage = {"prompt_tokens": 9, "completion_tokens": tokens}
        return {"choices": [], "usage": usage, "timings": {"predicted_n": tokens}}

    body = stream(piece("A"), piece("b", 1, "stop"), counted(2), piece("a", 0, "stop"), counted(5))
    assert joined(body)["usage"] == {"prompt_tokens": 9, "completion_tokens": 7}


def test_line_ends_and_lines_of_one_event_do_not_matter() -> None:
    body = b'data: {"choices":\r\ndata: [{"delta": {"content": "x"}, "finish_reason": "stop"}]}\r\n\r\n'
    assert joined(body)["choices"][0]["message"]["content"] == "x"


def test_an_error_among_the_events_is_the_reply() -> None:
    error = {"error": {"message": "overloaded"}}
    assert joined(stream(piece("x"), error)) == error
    assert joined(stream(piece("x"), {"choices": [], **error}))["error"] == error["error"]


@pytest.mark.parametrize(
    "body",
    [
        stream(piece("x"), end=""),
        stream(piece("x", 0, "stop"), piece("y", 1), end=""),
        b"data: {\n\n",
        stream({"choices": [5]}),
    ],
    ids=["no end", "one choice without its end", "no JSON", "a choice that is no object"],
)
def test_a_stream_that_broke_off_or_holds_something_else_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"broke off|no object|Expecting"):
        joined(body)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_events_are_read_as_they_arrive_byte_by_byte(line_end: str) -> None:
    reader, events = EventReader(), [piece("Ä", 1), piece("b")]
    body = (b": ping\n\n" + stream(*events)).replace(b"\n", line_end.encode())
    end = body.index(b"[DONE]")
    assert [event for place in range(end) for event in reader.add(body[place : place + 1])] == events
    assert reader.add(body[end:]) == []
