"""Responses API: text in, text out, as a thin translation of chat completions."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from tpo.serve.api_error import ApiError, invalid
from tpo.serve.api_format import Writer, error_body, extension, finish_reason, pieces, sse
from tpo.serve.chat import ChatFormat
from tpo.serve.outcome import Outcome
from tpo.serve.request import ServedRequest

REFUSED = ("tools", "previous_response_id", "conversation", "background", "prompt")
DROPPED = {
    *("input", "instructions", "text", "max_output_tokens", "tool_choice", "include", "store", "truncation"),
    *("parallel_tool_calls", "max_tool_calls", "reasoning", *REFUSED),
}


class ResponsesFormat:
    """The responses API."""

    def read(self, body: dict[str, Any], name: str, headers: Mapping[str, str]) -> ServedRequest:
        """Return the validated request."""
        for field in REFUSED:
            if body.get(field):
                raise invalid(f"{field} is not supported; send the whole conversation as input", field)
        chat = {key: value for key, value in body.items() if key not in DROPPED}
        instructions = body.get("instructions")
        first = [{"role": "system", "content": instructions}] if instructions else []
        chat["messages"] = first + _messages(body.get("input"))
        if body.get("max_output_tokens") is not None:
            chat["max_tokens"] = body["max_output_tokens"]
        reasoning = body.get("reasoning")
        if isinstance(reasoning, dict) and reasoning.get("effort") is not None:
            chat["reasoning_effort"] = reasoning["effort"]
        text = body.get("text")
        given = text.get("format") if isinstance(text, dict) else None
        if isinstance(given, dict) and given.get("type") == "json_schema":
            schema = {key: value for key, value in given.items() if key != "type"}
            chat["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif given is not None:
            chat["response_format"] = given
        return ChatFormat().read(chat, name, headers)

    def writer(self, request: ServedRequest) -> Writer:
        """Return the writer of one reply."""
        return _ResponsesWriter(request)

    def error(self, error: ApiError) -> dict[str, Any]:
        """Return the body of an error reply."""
        return error_body(error)


class _ResponsesWriter:
    """Writes one reply; progress is the summary of a reasoning item before the message."""

    def __init__(self, request: ServedRequest) -> None:
        self._request = request
        self._id = f"resp_{uuid.uuid4().hex}"
        self._item = f"msg_{uuid.uuid4().hex}"
        self._reasoning = f"rs_{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._number = count()
        self._summary = ""

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """Return the reply."""
        text, is_cut = outcome.answers[0].text, finish_reason(outcome.answers[0]) == "length"
        usage = outcome.total
        output = [self._reasoning_item()] if self._summary else []
        return self._response("incomplete" if is_cut else "completed", [*output, self._message(text)]) | {
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "usage": {
                "input_tokens": usage.prompt_tokens,
                "input_tokens_details": {"cached_tokens": usage.cached_tokens},
                "output_tokens": usage.completion_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage.tokens,
            },
            "tpo": extension(outcome),
        }

    def start(self) -> Iterator[bytes]:
        """Yield the response without output."""
        response = self._response("in_progress", [])
        yield self._event("response.created", response=response)
        yield self._event("response.in_progress", response=response)

    def progress(self, text: str) -> Iterator[bytes]:
        """Yield *text* as a reasoning summary."""
        at = {"item_id": self._reasoning, "output_index": 0, "summary_index": 0}
        if not self._summary:
            yield self._event("response.output_item.added", output_index=0, item=self._reasoning_item())
            part = {"type": "summary_text", "text": ""}
            yield self._event("response.reasoning_summary_part.added", part=part, **at)
        self._summary += text
        yield self._event("response.reasoning_summary_text.delta", delta=text, **at)

    def answer(self, outcome: Outcome) -> Iterator[bytes]:
        """Yield the message and the end."""
        if self._summary:
            at = {"item_id": self._reasoning, "output_index": 0, "summary_index": 0}
            yield self._event("response.reasoning_summary_text.done", text=self._summary, **at)
            part = {"type": "summary_text", "text": self._summary}
            yield self._event("response.reasoning_summary_part.done", part=part, **at)
            yield self._event("response.output_item.done", output_index=0, item=self._reasoning_item())
        text, index = outcome.answers[0].text, int(bool(self._summary))
        item = self._message("") | {"status": "in_progress", "content": []}
        yield self._event("response.output_item.added", output_index=index, item=item)
        at = {"item_id": self._item, "output_index": index, "content_index": 0}
        yield self._event("response.content_part.added", part=_part(""), **at)
        for piece in pieces(text):
            yield self._event("response.output_text.delta", delta=piece, logprobs=[], **at)
        yield self._event("response.output_text.done", text=text, logprobs=[], **at)
        yield self._event("response.content_part.done", part=_part(text), **at)
        yield self._event("response.output_item.done", output_index=index, item=self._message(text))
        response = self.whole(outcome)
        yield self._event(f"response.{response['status']}", response=response)

    def failure(self, error: ApiError) -> Iterator[bytes]:
        """Yield the error."""
        values = {"code": error.code or error.type, "message": error.message, "param": error.param}
        yield self._event("error", **values)

    def _response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "model": self._request.model,
            "output": output,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": False,
            "temperature": self._request.temperature,
            "top_p": self._request.top_p,
            "tool_choice": "none",
            "tools": [],
            "usage": None,
        }

    def _message(self, text: str) -> dict[str, Any]:
        head = {"id": self._item, "type": "message", "role": "assistant", "status": "completed"}
        return head | {"content": [_part(text)]}

    def _reasoning_item(self) -> dict[str, Any]:
        summary = [{"type": "summary_text", "text": self._summary}] if self._summary else []
        return {"id": self._reasoning, "type": "reasoning", "summary": summary}

    def _event(self, kind: str, **values: Any) -> bytes:
        return sse({"type": kind, "sequence_number": next(self._number), **values}, kind)


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _messages(given: object) -> list[Any]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list):
        raise invalid("input must be a string or a list of messages", "input")
    items = [each for each in given if not (isinstance(each, dict) and each.get("type") == "reasoning")]
    return [_message(each, f"input.{index}") for index, each in enumerate(items)]


def _message(item: Any, param: str) -> dict[str, Any]:
    if not isinstance(item, dict) or item.get("type", "message") != "message":
        raise invalid(f"{param}: only messages are supported", param)
    content = item.get("content")
    if isinstance(content, list):
        texts = [part.get("text") if isinstance(part, dict) else None for part in content]
        if not all(isinstance(text, str) for text in texts):
            raise invalid(f"{param}: only text is supported here", param)
        content = "\n".join(map(str, texts))
    return {"role": item.get("role"), "content": content}
