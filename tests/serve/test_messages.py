from typing import Any

from tests.serve.serving import SCRIPT, served
from tpo.policies.scripted import ScriptedPolicy
from tpo.types import ExtendedSampling


def asked(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Why?"}], **fields}


async def test_a_message_is_translated_both_ways() -> None:
    policy = ScriptedPolicy(SCRIPT)
    blocks = [{"type": "text", "text": "Why?", "cache_control": {"type": "ephemeral"}}]
    body = asked(system="Be brief.", stop_sequences=["END"], messages=[{"role": "user", "content": blocks}])
    async with served(policy) as client:
        reply = (await client.post("/v1/messages", body)).json
    assert (reply["type"], reply["role"], reply["stop_reason"]) == ("message", "assistant", "end_turn")
    assert [block["text"] for block in reply["content"]] == ["the best"]
    assert reply["usage"]["output_tokens"] > 0
    first = policy.calls[0]
    assert list(first.messages) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Why?"},
    ]
    assert isinstance(first.sampling, ExtendedSampling)
    assert first.sampling.extra == {"stop": ["END"]}
    assert first.sampling.max_tokens == 100


async def test_a_stream_thinks_and_then_answers() -> None:
    async with served(ScriptedPolicy(SCRIPT)) as client:
        reply = await client.post("/v1/messages", asked(stream=True))
        quiet = await client.post("/v1/messages", asked(stream=True, tpo={"progress": False}))
    kinds = [event["type"] for event in reply.events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    blocks = [e["content_block"]["type"] for e in reply.events if e["type"] == "content_block_start"]
    assert blocks == ["thinking", "text"]
    deltas = [e for e in quiet.events if e["type"] == "content_block_delta"]
    assert "".join(e["delta"]["text"] for e in deltas) == "the best"
    assert {e["index"] for e in deltas} == {0}


async def test_errors_have_the_apis_own_form() -> None:
    async with served(ScriptedPolicy({"loss": "x"})) as client:
        wrong: dict[str, Any]
        for wrong in (
            *({"max_tokens": None}, {"tools": [{}]}, {"messages": [{"role": "system", "content": "x"}]}),
            *(
                {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
                {"messages": 3},
                {"messages": [3]},
            ),
            *({"system": 3}, {"messages": [{"role": "user", "content": [3]}]}),
        ):
            reply = await client.post("/v1/messages", asked(**wrong))
            assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error"), wrong
        reply = await client.post("/v1/messages", asked(stream=True))
        assert reply.events[-1]["error"]["type"] == "overloaded_error"
