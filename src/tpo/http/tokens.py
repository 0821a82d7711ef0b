"""Tokens of a prompt: counted by the server's own tokenizer where it has one, else estimated."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tpo.http.chat import sendable
from tpo.http.client import HttpClient
from tpo.http.failures import HttpFailure
from tpo.types import Messages, plain_text

ASCII_PER_TOKEN = 4
"""Characters of English text and code per token, about. Other scripts have one to three."""
TOKENS_PER_TURN = 16
"""Upper estimate of the tokens that a chat template adds to a turn."""
TEMPLATE_FIELDS = (
    "tools",
    "chat_template",
    "chat_template_kwargs",
    "continue_final_message",
    "add_generation_prompt",
)
"""Extra request fields that change the prompt's text, and so its tokens."""
_ABSENT = (403, 404, 405, 501)
"""Statuses of a server without that path."""


def estimated_tokens(messages: Messages, more: str = "") -> int:
    """Return about how many tokens *messages* take: fair for English, high for other scripts.

    *more* is text that the template adds.
    """
    texts = [more, *(plain_text(message) for message in messages)]
    ascii_characters = sum(len(text.encode("ascii", "ignore")) for text in texts)
    others = sum(map(len, texts)) - ascii_characters
    return -(-ascii_characters // ASCII_PER_TOKEN) + others + TOKENS_PER_TURN * len(messages)


def tool_text(messages: Messages, extra: Mapping[str, Any]) -> str:
    """Return what a template writes of tools: their definitions, in *extra*, and the calls in *messages*."""
    calls = [dict(message)["tool_calls"] for message in messages if dict(message).get("tool_calls")]
    found = [*filter(None, [extra.get("tools")]), *calls]
    return json.dumps(found, ensure_ascii=False) if found else ""


def surely_fits(messages: Messages, max_tokens: int, context: int, more: str = "") -> bool:
    """Return whether prompt and reply fit even if every byte is a token, which no tokenizer exceeds.

    *more* is text that the template adds.
    """
    size = len(more.encode("utf-8", "surrogatepass"))
    size += sum(len(plain_text(message).encode("utf-8", "surrogatepass")) for message in messages)
    return size + 4 * TOKENS_PER_TURN * (1 + len(messages)) + max_tokens <= context


class ServerTokenizer:
    """Tokenizer behind ``/tokenize`` of the server of *client*, which stays the caller's to close.

    Sends whole messages first (vLLM), then their text (llama.cpp, SGLang), and remembers the form that the
    server takes. A server that takes neither is not asked again. *extra* are the request fields of the
    calls: those in :data:`TEMPLATE_FIELDS` are sent along.
    """

    def __init__(self, client: HttpClient, extra: Mapping[str, Any] | None = None) -> None:
        self._client = client
        self._shape = _shape(extra or {})
        self._forms: list[_Form] = [_messages_form, _text_form]
        self._has_counted = False

    async def count(
        self, model: str, messages: Messages, extra: Mapping[str, Any] | None = None
    ) -> int | None:
        """Return the number of tokens of *messages* with the chat template; None if the server has no count.

        *extra* are further request fields, of this call alone.

        Raises:
            HttpFailure: the server did not answer, or a later request may succeed.
        """
        own = _shape(extra or {})
        for form in tuple(self._forms):
            body, template = form(model, messages, own | self._shape)
            try:
                count = await self._client.request("POST", "/tokenize", body, read=_read_count, root=True)
            except HttpFailure as failure:
                if failure.passes or failure.unreachable:
                    raise
                if own:  # perhaps it is this call's fields that the server refuses
                    return None
                if failure.status in _ABSENT:
                    self._forms = []
                elif not self._has_counted:
                    self._forms = [left for left in self._forms if left != form]
                if not self._forms or self._has_counted:
                    return None
            else:
                self._forms, self._has_counted = [form], True
                return count + template
        return None

    async def count_or_estimate(self, model: str, messages: Messages) -> int:
        """Return the number of tokens of *messages*, estimated where the server has no count.

        Raises:
            HttpFailure: as :meth:`count`.
        """
        counted = await self.count(model, messages)
        return estimated_tokens(messages) if counted is None else counted


_Form = Callable[[str, Messages, Mapping[str, Any]], tuple[dict[str, Any], int]]
"""Returns a request body and the tokens of the template that its count leaves out."""


def _messages_form(model: str, messages: Messages, shape: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    body = {"model": model, "messages": sendable(messages), "add_generation_prompt": True}
    return body | dict(shape), 0


def _text_form(model: str, messages: Messages, shape: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    text = "\n".join(filter(None, [*map(plain_text, messages), tool_text(messages, shape)]))
    return {"model": model, "content": text, "prompt": text}, TOKENS_PER_TURN * len(messages)


def _shape(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the request fields *extra* that change the prompt's text."""
    return {name: value for name, value in extra.items() if name in TEMPLATE_FIELDS}


def _read_count(reply: Any) -> int:
    """Return the number of tokens in *reply*, which has a count (vLLM, SGLang) or lists them (llama.cpp).

    An empty list is no count: llama.cpp sends it to a request without ``content``.

    Raises:
        HttpFailure: there is neither.
    """
    found = reply if isinstance(reply, dict) else {}
    count, tokens = found.get("count"), found.get("tokens")
    if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
        return count
    if isinstance(tokens, list) and tokens:
        return len(tokens)
    raise HttpFailure("the server's count of tokens cannot be read")
