import asyncio

import pytest

from tests.serve.serving import CHAT, asked, served
from tests.serve.serving import SCRIPT as SHORT
from tpo.policies.scripted import ScriptedPolicy, improved
from tpo.serve.api_format import pieces
from tpo.types import ToolCallCompletion

SCRIPT = SHORT | {"loss": "be\ncause", "update": improved("the best " * 30)}


async def test_a_stream_has_progress_as_reasoning_then_the_answer_then_the_usage() -> None:
    async with served(ScriptedPolicy(SCRIPT)) as client:
        reply = await client.chat(stream=True, stream_options={"include_usage": True})
    assert reply.headers["Content-Type"].startswith("text/event-stream")
    assert reply.text.endswith("data: [DONE]\n\n")
    *chunks, last, usage = reply.events
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    reasoning = "".join(d.get("reasoning", "") for d in deltas)
    assert reasoning == "".join(d.get("reasoning_content", "") for d in deltas)
    for part in ("0.0: reward +4.000", "Step 1", "loss: be cause"):
        assert part in reasoning
    content = "".join(d.get("content", "") for d in deltas)
    assert content == ("the best " * 30).strip()
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["tpo"]["stop_reason"] == "max_iterations"
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] > 0
    assert len({chunk["id"] for chunk in reply.events}) == 1


@pytest.mark.parametrize("way", ["request", "operator"])
async def test_progress_can_be_switched_off(way: str) -> None:
    async with served(ScriptedPolicy(SCRIPT), progress=way != "operator") as client:
        controls = {"progress": False} if way == "request" else {}
        reply = await client.chat(stream=True, tpo=controls)
    assert "reasoning" not in reply.text
    assert not any("usage" in event for event in reply.events)


async def test_choices_of_a_stream_have_their_index() -> None:
    async with served(ScriptedPolicy(SCRIPT | {"sample": ["a", "bb"]})) as client:
        events = (await client.chat(stream=True, n=2, model="m@bon-2", tpo={"progress": False})).events
    content = {0: "", 1: ""}
    for event in events:
        content[event["choices"][0]["index"]] += event["choices"][0]["delta"].get("content", "")
    assert content == {0: "bb", 1: "a"}


async def test_every_choice_that_begins_ends_where_the_pool_holds_fewer_than_were_asked_for() -> None:
    tool = ToolCallCompletion(1, "", tool_calls=({"id": "c"},))
    async with served(ScriptedPolicy(SCRIPT | {"sample": ["text", tool]})) as client:
        events = (await client.chat(stream=True, n=2, model="m@bon-2")).events
    choices = [event["choices"][0] for event in events]
    begun = [choice["index"] for choice in choices if "role" in choice["delta"]]
    ended = [choice["index"] for choice in choices if choice["finish_reason"]]
    assert begun == ended == [0]


async def test_a_silent_stream_gets_comments() -> None:
    go = asyncio.Event()
    policy = ScriptedPolicy(SCRIPT, before=lambda *_: go.wait())
    async with (
        served(policy, keep_alive=0.001) as client,
        client.session.post(client.url + CHAT, json=asked(stream=True)) as reply,
    ):
        text = ""
        while text.count(": keep-alive\n\n") < 3:
            text += (await reply.content.readany()).decode()
        go.set()
        assert "[DONE]" in await reply.text()


async def test_a_failure_after_the_start_is_an_event_of_the_stream() -> None:
    async with served(ScriptedPolicy({"loss": "x"})) as client:
        reply = await client.chat(stream=True)
    assert reply.status == 200
    assert reply.events[-1]["error"]["type"] == "overloaded_error"
    assert reply.text.endswith("data: [DONE]\n\n")


def test_pieces_join_to_the_text() -> None:
    text = "é" * 500
    assert "".join(pieces(text)) == text
    assert pieces("") == []
