"""Tokens of labels, by a server's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tpo.http import HttpClient, HttpFailure


async def token_ids(client: HttpClient, model: str, texts: Sequence[str]) -> list[int | None] | None:
    """Return the token that each of *texts* is, None for one of several tokens; None without a tokenizer.

    Raises:
        HttpFailure: the server did not answer.
    """

    async def tokenize(text: str) -> int | None:
        body = {"model": model, "prompt": text, "add_special_tokens": False}
        ids = await client.request("POST", "/tokenize", body, read=_read_ids, root=True)
        return ids[0] if len(ids) == 1 else None

    try:
        return [await tokenize(text) for text in texts]
    except HttpFailure as failure:
        if failure.passes or failure.unreachable:
            raise
        return None


def _read_ids(reply: Any) -> list[int]:
    ids = reply.get("tokens") if isinstance(reply, dict) else None
    if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
        raise HttpFailure("the server sent no token ids")
    return ids
