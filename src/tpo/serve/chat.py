"""Chat completions API: requests and replies."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from tpo.serve.api_error import ApiError, invalid
from tpo.serve.api_format import Writer, error_body, extension, finish_reason, pieces, sse
from tpo.serve.outcome import Outcome
from tpo.serve.request import OFF, ServedRequest, number, read_controls, read_model, whole_number
from tpo.serve.request_policy import FORMAT_FIELDS, validator
from tpo.types import Message

ANSWER_FIELDS = (
    *("stop", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "response_format"),
    *("stop_token_ids", "bad_words", "min_tokens", "ignore_eos", "logit_bias", "prediction", *FORMAT_FIELDS),
)
"""Fields that go to samples and updates only: they shape the answer."""
OWN_FIELDS = {
    *("model", "messages", "stream", "stream_options", "n", "temperature", "top_p", "max_tokens"),
    *("max_completion_tokens", "seed", "tpo", "logprobs", "top_logprobs", *ANSWER_FIELDS),
}
"""Fields that are read here; every other one is passed on to the policy."""
ROLE = {"role": "assistant", "content": ""}
"""The first delta of a choice."""
ROLES = ("system", "developer", "user", "assistant", "tool")


class ChatFormat:
    """The chat completions API."""

    def read(self, body: dict[str, Any], name: str, headers: Mapping[str, str]) -> ServedRequest:
        """Return the validated request."""
        body = {key: value for key, value in body.items() if value is not None}
        model, preset = read_model(body.get("model"), name)
        controls = read_controls(preset, body.get("tpo"), headers)
        messages = _read_messages(body.get("messages"))
        if controls.method != OFF:
            _check_optimizable(body, messages)
        limit = body.get("max_completion_tokens", body.get("max_tokens"))
        options = body.get("stream_options", {})
        validator(body.get("response_format"))
        return ServedRequest(
            model=model,
            messages=messages,
            controls=controls,
            n=whole_number(body.get("n", 1), "n", low=1),
            temperature=_number(body, "temperature", 0.0, 2.0),
            top_p=_number(body, "top_p", 0.0, 1.0, above=True),
            max_tokens=None if limit is None else whole_number(limit, "max_tokens", low=1, high=10**9),
            seed=whole_number(body["seed"], "seed", low=-(2**63)) if "seed" in body else None,
            answer_fields=_answer_fields(body),
            extra={key: value for key, value in body.items() if key not in OWN_FIELDS},
            stream=_flag(body, "stream"),
            include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        )

    def writer(self, request: ServedRequest) -> Writer:
        """Return the writer of one reply."""
        return _ChatWriter(request)

    def error(self, error: ApiError) -> dict[str, Any]:
        """Return the body of an error reply."""
        return error_body(error)


class _ChatWriter:
    """Writes one reply."""

    def __init__(self, request: ServedRequest) -> None:
        self._request = request
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """Return the reply."""
        choices = []
        for index, answer in enumerate(outcome.answers):
            message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
            if answer.reasoning:
                message |= {"reasoning": answer.reasoning, "reasoning_content": answer.reasoning}
            if outcome.tool_calls:
                message |= {"content": answer.text or None, "tool_calls": list(outcome.tool_calls)}
            reason = "tool_calls" if outcome.tool_calls else finish_reason(answer)
            choices.append({"index": index, "message": message, "finish_reason": reason, "logprobs": None})
        head = self._head("chat.completion")
        return head | {"choices": choices, "usage": _usage_of(outcome), "tpo": extension(outcome)}

    def start(self) -> Iterator[bytes]:
        """Yield the first choice's role; the pool may hold fewer choices than were asked for."""
        yield self._chunk(0, ROLE)

    def progress(self, text: str) -> Iterator[bytes]:
        """Yield *text* as reasoning of the first choice, under both names in use."""
        yield self._chunk(0, {"reasoning": text, "reasoning_content": text})

    def answer(self, outcome: Outcome) -> Iterator[bytes]:
        """Yield the choices, the usage and the end."""
        for index, answer in enumerate(outcome.answers):
            if index:
                yield self._chunk(index, ROLE)
            for piece in pieces(answer.text):
                yield self._chunk(index, {"content": piece})
            reason = finish_reason(answer)
            if outcome.tool_calls:
                calls = [call | {"index": i} for i, call in enumerate(map(dict, outcome.tool_calls))]
                yield self._chunk(index, {"tool_calls": calls})
                reason = "tool_calls"
            last = index == len(outcome.answers) - 1
            yield self._chunk(index, {}, reason, {"tpo": extension(outcome)} if last else {})
        if self._request.include_usage:
            usage = {"choices": [], "usage": _usage_of(outcome)}
            yield sse(self._head("chat.completion.chunk") | usage)
        yield b"data: [DONE]\n\n"

    def failure(self, error: ApiError) -> Iterator[bytes]:
        """Yield the error and the end."""
        yield sse(error_body(error))
        yield b"data: [DONE]\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._request.model}

    def _chunk(
        self,
        index: int,
        delta: dict[str, Any],
        reason: str | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> bytes:
        choice = {"index": index, "delta": delta, "finish_reason": reason, "logprobs": None}
        return sse(self._head("chat.completion.chunk") | {"choices": [choice]} | dict(more or {}))


def _usage_of(outcome: Outcome) -> dict[str, Any]:
    """Return the usage in OpenAI's form, with the phases in its details."""
    usage, phases = outcome.total, outcome.usage.items()
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            **{phase: each.prompt_tokens for phase, each in phases},
        },
        "completion_tokens_details": {phase: each.completion_tokens for phase, each in phases},
    }


def _read_messages(messages: object) -> tuple[Message, ...]:
    """Return the conversation.

    Raises:
        ApiError: it is malformed.
    """
    if not isinstance(messages, list) or not messages:
        raise invalid("messages must be a list of at least one message", "messages")
    for index, message in enumerate(messages):
        param = f"messages.{index}"
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise invalid(f"{param}: a message is an object with a role: {', '.join(ROLES)}", param)
        content = message.get("content")
        if content is None and message["role"] == "assistant":
            continue
        if isinstance(content, list):
            for part in content:
                text = isinstance(part, dict) and (
                    part.get("type") != "text" or isinstance(part.get("text"), str)
                )
                if not text:
                    raise invalid(f"{param}: each part of a content is an object with a type", param)
        elif not isinstance(content, str):
            raise invalid(f"{param}: content must be a string or a list of parts", param)
    turns: list[Any] = [{**message, "content": message.get("content")} for message in messages]
    return tuple(turns)


def _check_optimizable(body: Mapping[str, Any], messages: tuple[Message, ...]) -> None:
    role = messages[-1]["role"]
    if role == "assistant":
        raise invalid(
            "the last message must be a user's: an assistant prefill cannot be optimized", "messages"
        )
    if role not in ("user", "tool"):
        raise invalid("the last message must be a user's", "messages")
    for field in ("logprobs", "top_logprobs"):
        if body.get(field):
            raise invalid(f"{field}: an optimized text has no log-probabilities; use the preset @off", field)


def _answer_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    stop = body.get("stop", [])
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(each, str) for each in stops):
        raise invalid("stop must be a string or a list of strings", "stop")
    for field, kind in (("tools", list), ("response_format", dict)):
        if field in body and not isinstance(body[field], kind):
            raise invalid(f"{field} is malformed", field)
    return {field: body[field] for field in ANSWER_FIELDS if field in body}


def _number(
    body: Mapping[str, Any], field: str, low: float, high: float, *, above: bool = False
) -> float | None:
    return number(body[field], field, low=low, high=high, above=above) if field in body else None


def _flag(body: Mapping[str, Any], field: str) -> bool:
    value = body.get(field, False)
    if not isinstance(value, bool):
        raise invalid(f"{field} must be true or false", field)
    return value
