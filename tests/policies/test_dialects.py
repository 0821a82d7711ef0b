"""Servers' dialects: what they say in other words or other shapes is understood."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from tests.http.loopback import Answer, Loopback, choices
from tests.policies.asked import SCOPE, Served, drawn, error
from tpo.config import Settings, policy_of
from tpo.errors import PolicyError
from tpo.policies import OpenAIPolicy
from tpo.types import Completion, Message, Messages, Sampling, assistant, system, user


async def answered(loopback: Loopback, *turns: Message, n: int = 1) -> list[Completion]:
    """The completions of one call with *turns*."""
    async with loopback.up() as url:
        policy = OpenAIPolicy(url, "m")
        try:
            return [c async for c in policy.sample(turns or (user("hi"),), Sampling(n=n), SCOPE)]
        finally:
            await policy.aclose()


class Narrow(Loopback):
    """Refuses replies of more than *limit* tokens, the first *together* requests all at the same time."""

    def __init__(self, together: int, limit: int) -> None:
        super().__init__(Answer())
        self._together, self._limit = together, limit
        self._arrived = asyncio.Condition()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/v1/models":
            return web.json_response({"data": [{"id": "m"}]})
        body = await request.json()
        self.asked.append(body)
        async with self._arrived:
            self._arrived.notify_all()
            await self._arrived.wait_for(lambda: len(self.asked) >= self._together)
        if body["max_tokens"] > self._limit:
            words = f"This model's maximum context length is {self._limit} tokens."
            return web.json_response({"error": {"message": words}}, status=400)
        return web.json_response(choices("a").body)


async def test_a_context_learned_by_one_call_holds_for_all_in_flight() -> None:
    server = Narrow(together=20, limit=1000)
    async with server.up() as url:
        policy = OpenAIPolicy(url, "m")
        found = await asyncio.gather(*(drawn(policy, max_tokens=2048) for _ in range(20)))
        await policy.aclose()
    assert [c.text for (c,) in found] == ["a"] * 20


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            400,
            "Requested token count exceeds the model's maximum context length of 1000 tokens. You requested",
        ),
        (400, "The input (2049 tokens) is longer than the model's context length (1000 tokens)."),
        (
            400,
            "Input length (2049 tokens) exceeds the maximum allowed length (1000 tokens). Use a shorter one",
        ),
        (400, "However, the model is loaded with context length of only 1000 tokens, which is not enough."),
        (
            422,
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 1000. Given: 2 `inputs`",
        ),
        (422, "Input validation error: `inputs` must have less than 1000 tokens. Given: 2049"),
        (400, "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 1000]"),
        (500, "Requested tokens (2049) exceed context window of 1000"),
        (400, "The decoder prompt (length 2049) is longer than the maximum model length of 1000."),
        (400, "This model's maximum prompt length is 1000 but the request contains 2049 tokens."),
        (400, "Prompt contains 2049 tokens, too large for model with 1000 maximum context length"),
        (400, "prompt length (2049) and max_tokens should be less than or equal to max_seq_len (1000)"),
        (400, "too many tokens: total number of tokens in this prompt cannot exceed 1000, received 2049"),
        (400, "You passed 1 input tokens. However, the model's context length is only 1000 tokens."),
        (400, "Range of max_tokens should be [1, 1000]"),
        (400, "max_tokens is too large: 2048. This model supports at most 1000 completion tokens"),
    ],
)
async def test_limits_are_learned_from_the_words_of_servers_in_use(status: int, words: str) -> None:
    served = Served(error(status, words), choices("a"))
    (completion,) = await served.draw(max_tokens=2048)
    assert completion.served is not None
    assert 900 < served.loopback.bodies[1]["max_tokens"] <= 1000


async def test_a_prompt_that_is_refused_although_it_was_made_to_fit_is_not_tried_for_minutes() -> None:
    served = Served(error(500, "Requested tokens (2049) exceed context window of 1000"))
    with pytest.raises(PolicyError, match="context window of 1000"):
        await served.draw(max_tokens=2048)
    assert served.time.waits == []


@pytest.mark.parametrize(
    "bad",
    [
        {"choices": [{"index": 0, "error": {"code": 503, "message": "provider down"}}]},
        {"choices": [{"index": 0, "message": {"content": "half"}, "finish_reason": "error"}]},
        {"object": "error", "message": "provider down", "code": 50001},
        {"error": {"message": "provider down", "type": "overloaded_error"}},
    ],
    ids=["in a choice", "finish reason", "object", "type"],
)
async def test_an_error_with_a_good_status_is_an_error(bad: dict[str, Any]) -> None:
    served = Served(Answer(bad), choices("a"))
    (completion,) = await served.draw()
    assert completion.text == "a"
    assert served.time.waits == [0.5]


@pytest.mark.parametrize(("code", "fatal"), [("401", True), ("invalid_request_error", False)])
async def test_an_error_in_a_good_reply_counts_as_its_code_says(code: str, fatal: bool) -> None:
    served = Served(Answer({"error": {"message": "no", "code": code}}))
    with pytest.raises(PolicyError) as caught:
        await served.draw()
    assert caught.value.fatal is fatal
    assert served.time.waits == []


async def test_an_error_in_one_choice_costs_that_choice_alone() -> None:
    rows = [*choices("a", "b").body["choices"], {"index": 2, "error": {"message": "provider down"}}]
    served = Served(Answer({"choices": rows}), choices("c"))
    assert [c.text for c in await served.draw(3)] == ["a", "b", "c"]
    assert served.seeds == [(3, 100), (1, 102)]


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        ("<think>hm</think>\n\nYes.", "Yes.", "hm"),
        ("hm\n</think>\nYes.", "Yes.", "hm"),
        ("<think>hm, so", "", "hm, so"),
    ],
)
async def test_reasoning_in_the_content_is_kept_apart(content: str, text: str, reasoning: str) -> None:
    (completion,) = await Served(choices(content)).draw()
    assert (completion.text, completion.reasoning) == (text, reasoning)


async def test_replies_are_asked_for_whole_and_a_stream_is_read_all_the_same() -> None:
    pieces: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}]},
        {"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}, "finish_reason": "stop"}]},
        {"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    ]
    stream = "".join(f"data: {json.dumps(piece)}\r\n\r\n" for piece in pieces) + "data: [DONE]\r\n\r\n"
    served = Served(Answer(": a comment\n\n" + stream))
    first, second = await served.draw(2)
    assert served.loopback.bodies[0]["stream"] is False
    assert (first.text, first.reasoning, first.finish_reason) == ("a", "hm", "stop")
    assert (second.text, second.finish_reason, first.usage.completion_tokens) == ("b", "length", 2)


@pytest.mark.parametrize(
    "stream",
    [
        'data: {"choices": [{"index": 0, "delta": {"content": "half"}}]}\n\n',
        'data: {"choices": [{"index": 0, "delta": {"content": "half"}}]}\n\ndata: {"choi',
        'data: {"choices": []}\n\ndata: {"error": {"message": "engine dead", "code": 500}}\n\n',
    ],
    ids=["no end", "cut", "error"],
)
async def test_a_stream_that_breaks_off_or_tells_an_error_is_tried_again(stream: str) -> None:
    served = Served(Answer(stream), choices("a"))
    assert [c.text for c in await served.draw()] == ["a"]


async def test_a_server_that_fails_on_several_choices_is_asked_for_one_at_once() -> None:
    served = Served(error(500, "n > 1 is not implemented"), choices("a"))
    assert [c.text for c in await served.draw(3)] == ["a", "a", "a"]
    assert served.time.waits == []
    assert served.seeds[:2] == [(3, 100), (1, 100)]
    assert sorted(served.seeds[2:]) == [(1, 101), (1, 102)]


async def test_a_server_that_failed_once_is_asked_for_several_again() -> None:
    served = Served(error(500, "hiccup"), choices("a"), choices("b"), choices("a", "b"))
    assert len(await served.draw(2, calls=2)) == 2
    assert [n for n, _ in served.seeds] == [2, 1, 1, 2]


async def test_a_server_that_fails_on_several_again_and_again_is_asked_singly() -> None:
    broken = error(500, "n > 1 is not implemented")
    served = Served(*[broken, choices("a"), choices("b")] * 3, choices("a"))
    await served.draw(2, calls=4)
    assert [n for n, _ in served.seeds] == [2, 1, 1] * 3 + [1, 1]


async def test_a_server_that_gave_several_is_asked_for_several_after_any_failures() -> None:
    broken = error(500, "the engine starts again")
    served = Served(choices("a", "b"), *[broken, choices("a"), choices("b")] * 3, choices("c", "d"))
    await served.draw(2, calls=5)
    assert [n for n, _ in served.seeds] == [2] + [2, 1, 1] * 3 + [2]


@pytest.mark.parametrize("models", [error(500, "oops"), Answer("<html>Not here</html>"), error(429, "slow")])
async def test_a_list_of_models_that_fails_does_not_matter_where_the_model_is_named(models: Answer) -> None:
    served = Served(choices("a"), models=models)
    assert [c.text for c in await served.draw(calls=5)] == ["a"]
    assert sum(asked.path == "/v1/models" for asked in served.loopback.asked) == 3
    assert served.time.waits == []


@pytest.mark.parametrize(
    ("status", "words", "field"),
    [
        (
            400,
            "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1)",
            "temperature",
        ),
        (400, "`temperature` and `top_p` cannot both be specified for this model.", "temperature"),
        (
            422,
            '{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs", "input": 5}',
            "seed",
        ),
    ],
)
async def test_a_refused_sampling_field_ends_the_run_and_the_error_says_how_to_leave_it_out(
    status: int, words: str, field: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        await Served(error(status, words)).draw()
    assert caught.value.fatal
    assert str(caught.value).endswith(f"""--policy-extra '{{"{field}": null}}'""")


async def test_a_refusal_that_only_mentions_a_sampling_field_ends_its_query_alone() -> None:
    with pytest.raises(PolicyError) as caught:
        await Served(error(400, "Unsupported content: the temperature of the sun")).draw()
    assert not caught.value.fatal


async def test_headers_may_be_long() -> None:
    served = Served(Answer(choices("a").body, headers={"X-Trace": "x" * 60_000}))
    assert [c.text for c in await served.draw()] == ["a"]


@pytest.mark.parametrize(
    "value", ["999999999", "-5", "NaN", "1e400", "soon", "Fri, 31 Dec 9999 23:59:59 GMT"]
)
async def test_a_time_to_come_back_that_is_nonsense_is_ignored(value: str) -> None:
    served = Served(error(503, "busy", **{"Retry-After": value}), choices("a"))
    assert [c.text for c in await served.draw()] == ["a"]
    assert served.time.waits == [0.5]


async def test_an_empty_turn_of_the_assistant_is_never_sent() -> None:
    loopback = Loopback(choices("a"))
    await answered(loopback, user("one"), assistant(" \n"), user("two"), assistant("ok"), user("three"))
    sent = loopback.bodies[0]["messages"]
    assert sent == [user("one\n\ntwo"), assistant("ok"), user("three")]


@pytest.mark.parametrize(
    "words",
    [
        "System role not supported",
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "Developer instruction is not enabled for models/gemma-3-27b-it",
        "Only user and assistant roles are supported!",
    ],
)
@pytest.mark.parametrize("status", [400, 500])
async def test_a_system_text_goes_into_the_first_user_turn_where_the_model_takes_none(
    words: str, status: int
) -> None:
    loopback = Loopback(error(status, words), choices("a"))
    turns: Messages = (system("Be brief."), user("one"), assistant("x"), user("two"))
    await answered(loopback, *turns)
    assert loopback.bodies[0]["messages"][0] == system("Be brief.")
    assert loopback.bodies[1]["messages"] == [user("Be brief.\n\none"), assistant("x"), user("two")]


async def test_a_check_samples_as_the_run_does() -> None:
    loopback = Loopback(choices("a"))
    async with loopback.up() as url:
        policy = policy_of(Settings(policy=(url,), model="m", temperature=1.0, top_p=1.0), {})
        assert isinstance(policy, OpenAIPolicy)
        await policy.check()
        await policy.aclose()
    (body,) = loopback.bodies
    assert (body["temperature"], body["top_p"], body["max_tokens"], body.get("n")) == (1.0, 1.0, 16, None)
