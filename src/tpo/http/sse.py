"""Chat completions as streams of server-sent events, requested or not."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r")
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
    ended, written = False, 0
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
        if "timings" in event:
            written += _completion_tokens(event)
        for piece in event["choices"] or ():
            _add(choices, piece)
    if not ended and not (choices and all(choice.get("finish_reason") for choice in choices.values())):
        raise ValueError("the stream broke off")
    if written and isinstance(whole.get("usage"), dict):
        whole["usage"] = {**whole["usage"], "completion_tokens": written}
    return whole | {"choices": [choices[index] for index in sorted(choices)]}


def _completion_tokens(event: dict[str, Any]) -> int:
    """Return the tokens of one choice, which llama.cpp's server counts for each choice when it ends."""
    usage = event.get("usage")
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) else 0


class EventReader:
    """Reads the JSON events of a stream that arrives in chunks; what is none is left out."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, chunk: bytes) -> list[Any]:
        """Return the events that *chunk* completes."""
        *blocks, self._rest = _BLANK_LINE.split(self._rest + chunk)
        found: list[Any] = []
        for block in blocks:
            with contextlib.suppress(ValueError):  # [DONE], or no JSON, which fails the whole reply later
                found += [json.loads(data) for data in _events(block)]
        return found


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
    for call in said.get("tool_calls") or ():
        _add_call(message.setdefault("tool_calls", []), call)
    for name in ("finish_reason", "error"):
        if piece.get(name) is not None:
            choice[name] = piece[name]
    logprobs = piece.get("logprobs")
    if isinstance(logprobs, dict) and isinstance(logprobs.get("content"), list):
        choice.setdefault("logprobs", {"content": []})["content"] += logprobs["content"]


def _add_call(calls: list[dict[str, Any]], piece: Any) -> None:
    """Append a piece to the tool call that it continues."""
    if not isinstance(piece, dict):
        raise ValueError("a streamed tool call is no object")
    number = piece.get("index", len(calls))
    if number not in range(len(calls) + 1):
        raise ValueError("a streamed tool call has no place")
    if number == len(calls):
        calls.append({"type": "function", "function": {}})
    whole, said = calls[number], piece.get("function") or {}
    whole |= {name: piece[name] for name in ("id", "type") if piece.get(name)}
    for name in ("name", "arguments"):
        if isinstance(said.get(name), str):
            whole["function"][name] = whole["function"].get(name, "") + said[name]
