"""A chat completion that a server streams although it was asked for one reply."""

from __future__ import annotations

import json
from typing import Any

_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


def is_stream(body: bytes) -> bool:
    """Return whether *body* is a stream of server-sent events."""
    start = body[:64].lstrip()
    return start.startswith((b"data:", b"event:", b"id:", b"retry:", b": "))


def joined(body: bytes) -> Any:
    """Return the reply that the events in *body* make together; an error among them as it is.

    Raises:
        ValueError: an event is no JSON, or the stream broke off before its end.
    """
    whole: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    ended = False
    for data in _events(body):
        if data == "[DONE]":
            ended = True
            continue
        event = json.loads(data)
        if not isinstance(event, dict) or "choices" not in event:
            return event
        whole |= {name: value for name, value in event.items() if name != "choices" and value is not None}
        if event.get("error"):
            return event
        for piece in event["choices"] or ():
            _add(choices, piece)
    if not ended and not (choices and all(choice.get("finish_reason") for choice in choices.values())):
        raise ValueError("the stream broke off")
    return whole | {"choices": [choices[index] for index in sorted(choices)]}


def _events(body: bytes) -> list[str]:
    """Return the data of each event; an event's lines of data are one text."""
    blocks = body.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
    lines = [[line[5:].strip() for line in block.split("\n") if line.startswith("data:")] for block in blocks]
    return ["\n".join(block) for block in lines if block]


def _add(choices: dict[int, dict[str, Any]], piece: Any) -> None:
    """Append a piece to the choice that it continues."""
    if not isinstance(piece, dict):
        raise ValueError("a streamed choice is no object")
    index = piece.get("index")
    index = index if isinstance(index, int) else 0
    choice = choices.setdefault(index, {"index": index, "message": {"role": "assistant"}})
    said = piece.get("delta") or piece.get("message") or {}
    message = choice["message"]
    for name in _TEXTS:
        if isinstance(said.get(name), str):
            message[name] = message.get(name, "") + said[name]
    for name in ("finish_reason", "error"):
        if piece.get(name) is not None:
            choice[name] = piece[name]
    logprobs = piece.get("logprobs")
    if isinstance(logprobs, dict) and isinstance(logprobs.get("content"), list):
        choice.setdefault("logprobs", {"content": []})["content"] += logprobs["content"]
