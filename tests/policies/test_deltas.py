"""Token deltas: streams of servers in use, and pieces that add up to the completions."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from tests.http.loopback import Answer, Loopback, choices
from tests.policies.asked import SCOPE, Served, drawn, error
from tpo import Optimizer
from tpo.errors import PolicyError
from tpo.events import CallRetried, TextWritten
from tpo.policies import OpenAIPolicy
from tpo.policies.deltas import Deltas
from tpo.types import Completion, Delta, Sampling, Trajectory, Usage, user

USAGE = {"prompt_tokens": 5, "completion_tokens": 6}


def piece(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def stream(*events: dict[str, Any], end: str = "data: [DONE]\n\n", cut: bool = False) -> Answer:
    return Answer("".join(f"data: {json.dumps(event)}\n\n" for event in events) + end, cut=cut)


def vllm() -> Answer:
    """Several choices in turn, reasoning as ``reasoning``, usage last."""
    return stream(
        piece(0, role="assistant", content=""),
        piece(1, role="assistant", content=""),
        piece(0, reasoning="Sea"),
        piece(0, reasoning=" first."),
        piece(1, content="Wa"),
        piece(0, content="Wi"),
        piece(1, content="ves", finish="stop"),
        piece(0, content="nd", finish="length"),
        {"choices": [], "usage": USAGE},
    )


def llama_cpp() -> Answer:
    """A null content first, reasoning as ``reasoning_content``, the finish apart, usage of each choice."""
    return stream(
        piece(0, role="assistant", content=None),
        piece(1, role="assistant", content=None),
        piece(0, reasoning_content="Sea first."),
        piece(0, content="Wind"),
        piece(1, content="Waves"),
        piece(1, "stop"),
        {"choices": [], "usage": USAGE | {"completion_tokens": 2}, "timings": {"predicted_n": 2}},
        piece(0, "length"),
        {"choices": [], "usage": USAGE | {"completion_tokens": 4}, "timings": {"predicted_n": 4}},
    )


def hosted() -> Answer:
    """A null usage in every chunk but the last, and fields that mean nothing here; CRLF line ends."""
    rest: dict[str, Any] = {"usage": None, "obfuscation": "x9"}
    reply = stream(
        piece(0, role="assistant", content="", refusal=None) | rest,
        piece(1, role="assistant", content="", refusal=None) | rest,
        piece(0, reasoning_content="Sea first.") | rest,
        piece(0, content="Wind") | rest,
        piece(1, content="Wav") | rest,
        piece(1, refusal=None, content="es") | rest,
        piece(0, "length") | rest,
        piece(1, "stop") | rest,
        {"choices": [], "usage": USAGE, "obfuscation": ""},
    )
    return Answer(reply.body.replace("\n", "\r\n"))


def whole() -> Answer:
    """The same reply at once."""
    rows = [
        {"message": {"content": "Wind", "reasoning_content": "Sea first."}, "finish_reason": "length"},
        {"message": {"content": "Waves"}, "finish_reason": "stop"},
    ]
    return Answer({"choices": [{"index": i, **row} for i, row in enumerate(rows)], "usage": USAGE})


def completions(pieces: list[Completion | Delta]) -> list[Completion]:
    found = [each for each in pieces if isinstance(each, Completion)]
    return sorted(found, key=lambda completion: completion.index)


def joined(pieces: list[Completion | Delta], index: int = 0, *, reasoning: bool = False) -> str:
    """What the deltas of sample *index* say since the last that restarts."""
    deltas = [each for each in pieces if isinstance(each, Delta) and each.index == index]
    start = max((i for i, delta in enumerate(deltas) if delta.restarts), default=0)
    return "".join(delta.text for delta in deltas[start:] if delta.reasoning == reasoning)


@pytest.mark.parametrize("form", [vllm, llama_cpp, hosted])
async def test_a_stream_gives_deltas_and_the_completions_of_a_whole_call(form: Any) -> None:
    served, at_once = Served(form()), Served(whole())
    pieces = await served.stream(2)
    without_server = [(c.index, c.text, c.finish_reason, c.usage, c.reasoning) for c in completions(pieces)]
    expected = await at_once.draw(2)
    assert without_server == [(c.index, c.text, c.finish_reason, c.usage, c.reasoning) for c in expected]
    assert without_server[0][3] == Usage(1, 5, 0, 6)
    assert not any(each.restarts for each in pieces if isinstance(each, Delta))
    assert [joined(pieces, 0), joined(pieces, 1)] == ["Wind", "Waves"]
    assert [joined(pieces, i, reasoning=True) for i in (0, 1)] == ["Sea first.", ""]
    body = served.loopback.bodies[-1]
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


async def test_without_a_listener_for_deltas_calls_are_whole() -> None:
    served = Served(whole())
    await served.draw(2)
    body = served.loopback.bodies[-1]
    assert body["stream"] is False
    assert "stream_options" not in body


async def test_deltas_come_before_the_reply_has_ended() -> None:
    hold = asyncio.Event()
    reply = stream(piece(0, content="Wi"), piece(0, "stop", content="nd"))
    served = Served(Answer(reply.body, hold=hold))
    async with served.loopback.up() as url:
        policy = OpenAIPolicy(url, "m")
        found = policy.stream((user("hi"),), Sampling(), SCOPE)
        assert await anext(found) == Delta(0, "Wi")
        hold.set()
        assert await anext(found) == Delta(0, "nd")
        assert [each.text async for each in found] == ["Wind"]
        await policy.aclose()


@pytest.mark.parametrize(
    "fault",
    [
        stream(piece(0, content="Wro"), end="", cut=True),
        stream(piece(0, content="Wro"), end=""),
        stream(piece(0, content="Wro"), {"error": {"message": "engine dead", "code": 500}}),
    ],
    ids=["connection", "no end", "error"],
)
async def test_a_stream_that_breaks_off_is_retried_as_calls_are(fault: Answer) -> None:
    served = Served(fault, stream(piece(0, content="Wi"), piece(0, "stop", content="nd")))
    pieces = await served.stream()
    assert pieces[:3] == [Delta(0, "Wro"), Delta(0, "Wi", restarts=True), Delta(0, "nd")]
    assert [c.text for c in completions(pieces)] == ["Wind"]
    assert served.time.waits == [0.5]
    assert len([event for event in served.events if isinstance(event, CallRetried)]) == 1


class Counting(Loopback):
    """Counts the requests for completions that are in flight together."""

    in_flight = most_in_flight = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        is_call = request.path != "/v1/models"
        self.in_flight += is_call
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await super().handle(request)
        finally:
            self.in_flight -= is_call


@pytest.mark.parametrize("most", [1, 2])
async def test_streams_count_against_the_limit_until_they_end(most: int) -> None:
    hold = asyncio.Event()
    server = Counting(Answer(stream(piece(0, content="Wi"), piece(0, "stop", content="nd")).body, hold=hold))
    async with server.up() as url:
        policy = OpenAIPolicy(url, "m", most=most)

        async def draw() -> list[Completion | Delta]:
            found = []
            async for each in policy.stream((user("hi"),), Sampling(), SCOPE):
                found.append(each)
                if server.in_flight == most:
                    hold.set()
            return found

        assert [len(found) for found in await asyncio.gather(*(draw() for _ in range(4)))] == [3] * 4
        assert server.most_in_flight == most
        await policy.aclose()


async def test_a_stream_that_is_left_ends_its_request() -> None:
    server = Counting(Answer(stream(piece(0, content="Wi")).body, hold=asyncio.Event()))
    async with server.up() as url:
        policy = OpenAIPolicy(url, "m", most=1)
        found = policy.stream((user("hi"),), Sampling(), SCOPE)
        assert await anext(found) == Delta(0, "Wi")
        await found.aclose()  # type: ignore[attr-defined]
        again = policy.stream((user("hi"),), Sampling(), SCOPE)
        assert await anext(again) == Delta(0, "Wi")  # its place is free
        await again.aclose()  # type: ignore[attr-defined]
        await policy.aclose()


async def test_a_stream_that_always_breaks_off_fails_as_a_call_does() -> None:
    served = Served(stream(piece(0, content="Wro"), end=""))
    with pytest.raises(PolicyError, match=r"query 'q7', update of step 1: .*given up after \d+ tries"):
        await served.stream()


async def test_a_refusal_of_the_stream_itself_is_followed_by_what_the_server_takes() -> None:
    served = Served(
        error(400, "stream_options: extra inputs are not permitted"),
        error(422, "stream is not supported by this model"),
        choices("Wind"),
    )
    pieces = await served.stream()
    assert pieces[0] == Delta(0, "Wind")
    assert [body["stream"] for body in served.loopback.bodies] == [True, True, False]
    assert ["stream_options" in body for body in served.loopback.bodies] == [True, False, False]


async def test_choices_that_a_server_left_out_are_streamed_singly() -> None:
    served = Served(
        stream(piece(0, "stop", content="a")),
        stream(piece(0, "stop", content="b")),
        stream(piece(0, "stop", content="c")),
    )
    pieces = await served.stream(3)
    texts = {joined(pieces, 1), joined(pieces, 2)}
    assert (joined(pieces, 0), texts) == ("a", {"b", "c"})
    assert [joined(pieces, c.index) for c in completions(pieces)] == [c.text for c in completions(pieces)]


async def test_a_streamed_tool_call_equals_a_whole_one() -> None:
    def call(**values: Any) -> dict[str, Any]:
        return {"index": 0, **values}

    parts = [
        call(id="c1", type="function", function={"name": "look", "arguments": ""}),
        call(function={"arguments": '{"at": '}),
        call(function={"arguments": '"sea"}'}),
    ]
    streamed = Served(stream(*(piece(tool_calls=[part]) for part in parts), piece(0, "tool_calls")))
    made = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sea"}'}}
    message = {"content": None, "tool_calls": [made]}
    at_once = Served(Answer({"choices": [{"message": message, "finish_reason": "tool_calls"}]}))
    (found,), (expected,) = completions(await streamed.stream()), await at_once.draw()
    assert found.tool_calls == expected.tool_calls == (made,)  # type: ignore[attr-defined]


async def test_an_optimizer_streams_the_deltas_of_a_server() -> None:
    reply = stream(piece(0, content="Wi"), piece(0, "stop", content="nd"), {"choices": [], "usage": USAGE})
    served = Served(reply)
    async with served.loopback.up() as url:
        policy = OpenAIPolicy(url, "m")
        optimizer = Optimizer(policy, lambda _, text: len(text), "bon", sample_size=1)
        *events, trajectory = [event async for event in optimizer.stream("Hi.")]
        assert isinstance(trajectory, Trajectory)
        assert [e.delta.text for e in events if isinstance(e, TextWritten)] == ["Wi", "nd"]
        assert trajectory.answer == "Wind"
        assert (await drawn(policy))[0].text == "Wind"
        await policy.aclose()


def told(*pieces: str, completion: Completion, opened: bool = False) -> list[Delta]:
    found: list[Delta] = []
    deltas = Deltas(found.append, opened=opened)
    for text in pieces:
        deltas.add(0, text)
    deltas.end(completion)
    return found


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_reasoning_in_the_text_is_kept_apart(size: int) -> None:
    text = "<think>\n1 < 2 [so]\n</think>\n\nWaves, <b>wind</b>. \n"
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    found = told(*pieces, completion=Completion(0, "Waves, <b>wind</b>.", reasoning="1 < 2 [so]"))
    assert not any(delta.restarts for delta in found)
    assert "".join(delta.text for delta in found if delta.reasoning) == "\n1 < 2 [so]\n"
    assert "".join(delta.text for delta in found if not delta.reasoning) == "Waves, <b>wind</b>."


def test_text_that_only_looks_like_a_mark_is_text() -> None:
    found = told("<", "improved_response>", "Wind", completion=Completion(0, "<improved_response>Wind"))
    assert "".join(delta.text for delta in found) == "<improved_response>Wind"
    assert not any(delta.reasoning or delta.restarts for delta in found)


def test_reasoning_that_only_its_end_tells_restarts_the_sample() -> None:
    completion = Completion(0, "Wind", reasoning="Sea first.")
    found = told("Sea first.", "</think>", "Wind", completion=completion)
    assert found[-2:] == [Delta(0, "Sea first.", reasoning=True, restarts=True), Delta(0, "Wind")]
    opened = told("Sea first.", "</think>", "Wind", completion=completion, opened=True)
    assert opened == [Delta(0, "Sea first.", reasoning=True), Delta(0, "Wind")]
