"""Messages API (Anthropic's): text in, text out, as a thin translation of chat completions."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from tpo.serve.api_error import ApiError, invalid
from tpo.serve.api_format import Writer, extension, finish_reason, pieces, sse
from tpo.serve.chat import ChatFormat
from tpo.serve.outcome import Outcome
from tpo.serve.request import ServedRequest

REFUSED = ("tools", "tool_choice", "mcp_servers", "container")
RENAMED = {"stop_sequences": "stop"}
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens"}


class MessagesFormat:
    """The messages API."""

    def read(self, body: dict[str, Any], name: str, headers: Mapping[str, str]) -> ServedRequest:
        """Return the validated request."""
        for field in REFUSED:
            if body.get(field):
                raise invalid(f"{field} is supported by /v1/chat/completions only", field)
        if body.get("max_tokens") is None:
            raise invalid("max_tokens is required", "max_tokens")
        chat = {
            RENAMED.get(key, key): value
            for key, value in body.items()
            if key not in ("system", "thinking", *REFUSED)
        }
        messages = chat.get("messages")
        if isinstance(messages, list):
            if any(
                isinstance(each, dict) and each.get("role") not in ("user", "assistant") for each in messages
            ):
                raise invalid(
                    "messages: the role is user or assistant; a system text is the field system", "messages"
                )
            first = [{"role": "system", "content": _text(body["system"])}] if body.get("system") else []
            chat["messages"] = first + [_flat(each) for each in messages]
        return ChatFormat().read(chat, name, headers)

    def writer(self, request: ServedRequest) -> Writer:
        """Return the writer of one reply."""
        return _MessagesWriter(request)

    def error(self, error: ApiError) -> dict[str, Any]:
        """Return the body of an error reply."""
        return {"type": "error", "error": {"type": error.type, "message": error.message}}


class _MessagesWriter:
    """Writes one reply; progress is a block of thinking before the text."""

    def __init__(self, request: ServedRequest) -> None:
        self._model = request.model
        self._id = f"msg_{uuid.uuid4().hex}"
        self._thinks = False

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """Return the reply."""
        answer = outcome.answers[0]
        return self._message([{"type": "text", "text": answer.text, "citations": None}]) | {
            "stop_reason": STOP_REASONS[finish_reason(answer)],
            "usage": _usage(outcome),
            "tpo": extension(outcome),
        }

    def start(self) -> Iterator[bytes]:
        """Yield the message without content."""
        yield _event("message_start", message=self._message([]))

    def progress(self, text: str) -> Iterator[bytes]:
        """Yield *text* as thinking."""
        if not self._thinks:
            self._thinks = True
            block = {"type": "thinking", "thinking": "", "signature": ""}
            yield _event("content_block_start", index=0, content_block=block)
        yield _event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": text})

    def answer(self, outcome: Outcome) -> Iterator[bytes]:
        """Yield the text and the end."""
        answer, index = outcome.answers[0], int(self._thinks)
        if self._thinks:
            yield _event("content_block_stop", index=0)
        yield _event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        for piece in pieces(answer.text):
            yield _event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
        yield _event("content_block_stop", index=index)
        delta = {"stop_reason": STOP_REASONS[finish_reason(answer)], "stop_sequence": None}
        yield _event("message_delta", delta=delta, usage=_usage(outcome), tpo=extension(outcome))
        yield _event("message_stop")

    def failure(self, error: ApiError) -> Iterator[bytes]:
        """Yield the error."""
        yield sse(MessagesFormat().error(error), "error")

    def _message(self, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": content,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }


def _event(kind: str, **values: Any) -> bytes:
    return sse({"type": kind, **values}, kind)


def _usage(outcome: Outcome) -> dict[str, int]:
    usage = outcome.total
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    texts = [
        part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in parts
    ]
    if not all(isinstance(text, str) for text in texts):
        raise invalid("only text is supported here; images go to /v1/chat/completions")
    return "\n".join(map(str, texts))


def _flat(message: Any) -> Any:
    """Return *message* with its text blocks as one text."""
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return message
    shown = [p for p in message["content"] if not (isinstance(p, dict) and p.get("type") == "thinking")]
    return {"role": message["role"], "content": _text(shown)}
