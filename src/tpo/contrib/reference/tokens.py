"""Tokens of a prompt: counted by the server's own tokenizer where it serves one, else estimated."""

from __future__ import annotations

from typing import Any

from tpo.http import HttpClient, HttpFailure
from tpo.types import Messages, plain_text

ASCII_PER_TOKEN = 4
"""Characters of English text and code in a token, about. Other scripts have one to three in a token."""

TOKENS_PER_TURN = 16
"""Tokens that a chat template adds to a turn, an upper estimate."""

SECONDS = 10.0
"""Read timeout of a tokenizer in seconds; it has no model to run."""

UNKNOWN = (403, 404, 405, 501)
"""Statuses of a server without that path."""


class ServerTokenizer:
    """The tokenizer behind ``/tokenize`` of the server at *url*.

    Asks for whole messages first (vLLM), then for their text (llama.cpp, SGLang), and remembers what the
    server takes. A server that takes neither is not asked again.
    """

    def __init__(self, url: str, model: str, api_key: str | None = None) -> None:
        self._client = HttpClient(url, api_key, timeout=SECONDS)
        self._model = model
        self._forms = [_messages_body, _text_body]

    async def count(self, messages: Messages) -> int | None:
        """Return the number of tokens of *messages* with the chat template; None where nothing tells it."""
        for form in tuple(self._forms):
            body = form(self._model, messages)
            try:
                tokens = await self._client.request("POST", "/tokenize", body, read=_read_tokens, root=True)
            except HttpFailure as failure:
                if failure.passes or failure.unreachable:
                    return None
                absent = failure.status in UNKNOWN
                self._forms = [] if absent else [left for left in self._forms if left is not form]
                if absent:
                    return None
            else:
                template = 0 if "messages" in body else TOKENS_PER_TURN * len(messages)
                return tokens + template
        return None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _messages_body(model: str, messages: Messages) -> dict[str, Any]:
    return {"model": model, "messages": list(messages), "add_generation_prompt": True}


def _text_body(model: str, messages: Messages) -> dict[str, Any]:
    text = "\n".join(map(plain_text, messages))
    return {"model": model, "content": text, "prompt": text}


def _read_tokens(reply: Any) -> int:
    """Return the number of tokens in *reply*, which tells a count or lists them.

    Raises:
        HttpFailure: it does neither.
    """
    found = reply if isinstance(reply, dict) else {}
    count, tokens = found.get("count"), found.get("tokens")
    if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
        return count
    if isinstance(tokens, list):
        return len(tokens)
    raise HttpFailure("the server's count of tokens cannot be read")


def estimated_tokens(messages: Messages) -> int:
    """Return about how many tokens the text of *messages* takes: fair for English, high for other scripts."""
    texts = [plain_text(message) for message in messages]
    ascii_characters = sum(len(text.encode("ascii", "ignore")) for text in texts)
    others = sum(map(len, texts)) - ascii_characters
    return -(-ascii_characters // ASCII_PER_TOKEN) + others + TOKENS_PER_TURN * len(messages)
