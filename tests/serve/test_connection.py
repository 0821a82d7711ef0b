"""Replies that are passed on, to clients that have left."""

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from tpo.http.failures import StreamedReply
from tpo.serve.connection import passed_on


async def test_a_client_that_leaves_before_the_first_chunk_closes_the_reply() -> None:
    is_open = False

    @asynccontextmanager
    async def upstream() -> AsyncIterator[StreamedReply]:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"

        nonlocal is_open
        is_open = True
        try:
            yield StreamedReply(200, {"Content-Type": "text/event-stream"}, chunks())
        finally:
            is_open = False

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        raise OSError("the client is gone")

    response = await passed_on(upstream(), lambda failure: b"")
    assert is_open
    scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
    with suppress(OSError, ExceptionGroup):
        await response(scope, gone, send)
    assert not is_open
