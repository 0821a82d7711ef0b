"""Tokens of labels and prompts, by a server's own tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tpo.http import HttpClient, HttpFailure
from tpo.types import Message


async def token_ids(client: HttpClient, model: str, texts: Sequence[str]) -> list[int | None] | None:
    """Return the token that each of *texts* is, None for one of several tokens; None without a tokenizer.

    Raises:
        HttpFailure: the server did not answer.
    """
    found = await text_ids(client, model, texts)
    return None if found is None else [ids[0] if len(ids) == 1 else None for ids in found]


async def text_ids(client: HttpClient, model: str, texts: Sequence[str]) -> list[list[int]] | None:
    """Return the tokens of each of *texts*, without special tokens; None without a tokenizer.

    Raises:
        HttpFailure: the server did not answer.
    """
    found = []
    for text in texts:
        body = {"model": model, "prompt": text, "add_special_tokens": False}
        ids = await _tokenize(client, body)
        if ids is None:
            return None
        found.append(ids)
    return found


async def prompt_ids(
    client: HttpClient, model: str, messages: Sequence[Message], template: Mapping[str, Any] | None = None
) -> list[int] | None:
    """Return the tokens of *messages* with the chat template, up to where the reply begins.

    *template* holds arguments of the template. The result is None where the server does not tokenize
    messages.

    Raises:
        HttpFailure: the server did not answer.
    """
    body = {"model": model, "messages": list(messages), "add_special_tokens": False}
    if template is not None:
        body["chat_template_kwargs"] = dict(template)
    return await _tokenize(client, body) or None  # llama.cpp sends no tokens where it reads no messages


async def _tokenize(client: HttpClient, body: Mapping[str, Any]) -> list[int] | None:
    try:
        return await client.request("POST", "/tokenize", body, read=_read_ids, root=True)
    except HttpFailure as failure:
        if failure.passes or failure.unreachable:
            raise
        return None


def _read_ids(reply: Any) -> list[int]:
    ids = reply.get("tokens") if isinstance(reply, dict) else None
    if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
        raise HttpFailure("the server sent no token ids")
    return ids
