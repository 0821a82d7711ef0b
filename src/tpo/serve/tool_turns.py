"""Conversations with calls of tools as plain text, for critiques, updates and rewards.

First samples get the client's own turns. Critics, editors and reward models read the calls and their results
as text: many chat templates take no tool turns without the tools' definitions, which critiques do not get.
"""

from __future__ import annotations

from typing import Any

from tpo.rewards.base import Reward
from tpo.types import Message, Messages, Scope, Score, assistant, plain_text, user


class PlainReward:
    """Middleware: *reward* reads conversations without tool turns."""

    def __init__(self, reward: Reward) -> None:
        self._reward = reward

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Return the reward's score."""
        return await self._reward.score(without_tool_turns(messages), response, scope)


def without_tool_turns(messages: Messages) -> Messages:
    """Return *messages* with calls of tools as an assistant's text and their results as a user's."""
    if not any(map(_has_tools, messages)):
        return messages
    turns: list[Message] = []
    for message in messages:
        turn = _plain(message)
        last = turns[-1] if turns else None
        if last is not None and last["role"] == turn["role"] == "user" and message["role"] == "tool":
            turns[-1] = user(f"{plain_text(last)}\n{plain_text(turn)}")
        else:
            turns.append(turn)
    return tuple(turns)


def _has_tools(message: Message) -> bool:
    return message["role"] == "tool" or bool(_calls(message))


def _calls(message: Message) -> list[Any]:
    calls = dict(message).get("tool_calls")
    return calls if isinstance(calls, list) else []


def _plain(message: Message) -> Message:
    if message["role"] == "tool":
        return user(f"[result of the tool]\n{plain_text(message)}")
    calls = _calls(message)
    if not calls:
        return message
    return assistant("\n".join(filter(None, (plain_text(message), *map(_call, calls)))))


def _call(call: Any) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    values = function if isinstance(function, dict) else {}
    return f"[calls the tool {values.get('name', '')} with {values.get('arguments', '')}]"
