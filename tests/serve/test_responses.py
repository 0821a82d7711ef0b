from itertools import count
from typing import Any

from tests.serve.serving import SCRIPT, served
from tpo.policies.scripted import ScriptedPolicy
from tpo.types import Completion, ExtendedSampling


def asked(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "input": "Why?", **fields}


async def test_a_response_is_translated_both_ways() -> None:
    policy = ScriptedPolicy(SCRIPT)
    turn = {"role": "user", "content": [{"type": "input_text", "text": "Why?"}]}
    body = asked(
        input=[turn], instructions="Be brief.", max_output_tokens=100, text={"format": {"type": "text"}}
    ) | {"reasoning": {"effort": "low"}, "parallel_tool_calls": True, "tools": []}
    async with served(policy) as client:
        reply = (await client.post("/v1/responses", body)).json
    assert (reply["object"], reply["status"]) == ("response", "completed")
    assert reply["output"][-1]["content"][0]["text"] == "the best"
    assert reply["usage"]["total_tokens"] == reply["usage"]["input_tokens"] + reply["usage"]["output_tokens"]
    first = policy.calls[0]
    assert list(first.messages) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Why?"},
    ]
    assert isinstance(first.sampling, ExtendedSampling)
    assert first.sampling.max_tokens == 100
    assert set(first.sampling.extra) == {"reasoning_effort", "response_format"}


async def test_a_stream_numbers_its_events_and_ends_with_the_whole_response() -> None:
    async with served(ScriptedPolicy(SCRIPT)) as client:
        events = (await client.post("/v1/responses", asked(stream=True))).events
    assert [event["sequence_number"] for event in events] == [
        n for n, _ in zip(count(), events, strict=False)
    ]
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert "".join(deltas) == "the best"
    last = events[-1]
    assert last["type"] == "response.completed"
    assert [item["type"] for item in last["response"]["output"]] == ["reasoning", "message"]
    ids = {item["id"] for item in last["response"]["output"]}
    assert ids == {event["item"]["id"] for event in events if event["type"] == "response.output_item.done"}


async def test_a_cut_answer_is_incomplete() -> None:
    async with served(ScriptedPolicy({"sample": Completion(0, "cut", "length")})) as client:
        reply = (await client.post("/v1/responses", asked(model="m@bon-1"))).json
    assert reply["incomplete_details"] == {"reason": "max_output_tokens"}
    assert reply["status"] == "incomplete"


async def test_what_is_not_translated_is_refused() -> None:
    async with served(ScriptedPolicy({"loss": "x"})) as client:
        wrong: dict[str, Any]
        for wrong in (
            *({"input": 3}, {"input": []}, {"input": [3]}, {"tools": [{}]}, {"previous_response_id": "x"}),
            *({"input": [{"type": "function_call_output"}]}, {"input": [{"role": "user", "content": [{}]}]}),
            *({"text": {"format": {"type": "json_schema", "schema": {"type": 1}}}}, {"instructions": 3}),
        ):
            reply = await client.post("/v1/responses", asked(**wrong))
            assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error"), wrong
        events = (await client.post("/v1/responses", asked(stream=True))).events
        assert (events[-1]["type"], events[-1]["code"]) == ("error", "overloaded_error")
