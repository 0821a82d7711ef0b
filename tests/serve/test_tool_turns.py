"""Conversations with tools: samples get the client's turns, critics, editors and rewards get text."""

from typing import Any, cast

from tests.serve.serving import SCRIPT, served
from tpo.http.chat import sendable
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.serve.tool_turns import without_tool_turns
from tpo.types import CRITIC, EDITOR, Messages, assistant, user

CALL = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
TURNS: list[dict[str, Any]] = [
    {"role": "user", "content": "Do I need a coat in Oslo?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c", "content": "3 degrees"},
]
PLAIN = (
    user("Do I need a coat in Oslo?"),
    assistant('[calls the tool weather with {"city": "Oslo"}]'),
    user("[result of the tool]\n3 degrees"),
)


async def test_the_text_after_a_tools_result_is_optimized() -> None:
    policy, reward = ScriptedPolicy(SCRIPT), ScriptedReward(len)
    async with served(policy, reward) as client:
        reply = (
            await client.chat(messages=TURNS, tools=[{"type": "function", "function": {"name": "w"}}])
        ).json
    assert reply["choices"][0]["message"]["content"] == "the best"
    assert reply["tpo"]["stop_reason"] == "max_iterations"
    samples = [call for call in policy.calls if call.scope.phase == "sample"]
    assert [dict(turn) for turn in samples[0].messages] == TURNS
    others = [call for call in policy.calls if call.scope.role in (CRITIC, EDITOR)]
    assert others
    assert all(call.messages[:3] == PLAIN for call in others)
    assert reward.calls
    assert all(call.messages == PLAIN for call in reward.calls)


async def test_a_call_in_an_earlier_turn_does_not_stop_a_request() -> None:
    turns = [*TURNS, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Why?"}]
    policy = ScriptedPolicy(SCRIPT)
    async with served(policy) as client:
        reply = await client.chat(messages=turns)
    assert reply.status == 200, reply.text
    assert [dict(turn) for turn in policy.calls[0].messages] == turns


def test_results_of_several_calls_are_one_turn_and_the_text_beside_a_call_stays() -> None:
    turns: list[Any] = [
        TURNS[0],
        {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL, CALL]},
        TURNS[2],
        TURNS[2],
    ]
    question, calls, results = without_tool_turns(tuple(turns))
    assert question == TURNS[0]
    assert str(calls["content"]).startswith("Let me see.\n[calls the tool weather")
    assert str(results["content"]).count("3 degrees") == 2


def test_a_conversation_without_tools_is_the_same_object() -> None:
    messages = (user("a"), assistant("b"), user("c"))
    assert without_tool_turns(messages) is messages


def test_a_turn_that_only_calls_a_tool_is_sent() -> None:
    assert sendable(cast("Messages", tuple(TURNS))) == TURNS
