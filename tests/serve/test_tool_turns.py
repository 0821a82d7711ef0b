"""Conversations with tools: samples get the client's turns, critics, editors and rewards get text."""

from pathlib import Path
from typing import Any, cast

import pytest

from tests.http.loopback import Answer, Loopback, choices
from tests.serve.serving import SCRIPT, SETTINGS, served
from tpo.export.training import prompt_of
from tpo.http.chat import sendable
from tpo.policies import OpenAIPolicy
from tpo.policies.scripted import ScriptedPolicy
from tpo.report.write import write_report
from tpo.rewards.scripted import ScriptedReward
from tpo.serve.keeper import Keeper
from tpo.serve.tool_turns import without_tool_turns
from tpo.store import read_trajectories
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


@pytest.mark.parametrize("content", [{"content": None}, {"content": ""}, {}])
async def test_a_call_without_text_reaches_a_server_that_tells_its_context(
    content: dict[str, Any], tmp_path: Path
) -> None:
    """Clients send null, an empty text, or leave the field out."""
    turns = [TURNS[0], {"role": "assistant", "tool_calls": [CALL], **content}, TURNS[2]]
    models = Answer({"data": [{"id": "m", "max_model_len": 2000}]})
    loopback = Loopback(choices("<improved_response>a</improved_response>"), models=models)
    async with loopback.up() as url, Keeper.opened(tmp_path, SETTINGS) as keeper:
        policy = OpenAIPolicy(url, "m")
        async with served(policy, keeper=keeper) as client:
            reply = await client.chat(messages=turns)
        await policy.aclose()
    assert reply.status == 200, reply.text
    (kept,) = read_trajectories(tmp_path)
    assert [turn["role"] for turn in kept.query.messages] == ["user", "assistant", "tool"]
    assert write_report([tmp_path], tmp_path / "report")
    assert prompt_of(kept) is None


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
