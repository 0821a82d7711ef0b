"""Connections: request bodies, replies, clients that disconnect, and streams that are silent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tpo.http import HttpFailure
from tpo.http.failures import StreamedReply
from tpo.serve.api_error import ApiError, invalid

T = TypeVar("T")

STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
EVENTS = "text/event-stream"
DEEPEST = 100
"""Levels of a body's values; what handles them recurses."""


class AsciiJson(JSONResponse):
    """JSON in ASCII: half a character, which UTF-8 has no form for, is sent as its escape."""

    def render(self, content: Any) -> bytes:
        """Return *content* as JSON."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


class HeldStream(StreamingResponse):
    """A stream that calls *release* when it ends, even if no part of it was ever sent."""

    def __init__(
        self,
        parts: AsyncIterable[bytes],
        release: Callable[[], Awaitable[None]],
        status: int = 200,
        media_type: str = EVENTS,
    ) -> None:
        super().__init__(parts, status, STREAM_HEADERS, media_type)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._release()


def error_response(body: Mapping[str, Any], error: ApiError) -> Response:
    """Return the reply of *error* with *body*."""
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return AsciiJson(body, error.status, headers)


async def read_body(request: Request, limit: int) -> dict[str, Any]:
    """Return the JSON object in the body.

    Raises:
        ApiError: it is none, nested too deeply, or larger than *limit* bytes.
    """
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise ApiError(413, f"the body has more than {limit} bytes")
        parts.append(part)
    try:
        body = json.loads(b"".join(parts))
    except (ValueError, RecursionError) as error:
        raise invalid("the body is not valid JSON") from error
    if not isinstance(body, dict):
        raise invalid("the body must be a JSON object")
    level: list[Any] = [body]
    for _ in range(DEEPEST):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
        if not level:
            return body
    raise invalid(f"the body has more than {DEEPEST} levels")


async def until_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of *work*, which is cancelled when the client disconnects.

    Raises:
        ClientDisconnect: the client is gone.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def passed_on(
    opened: AbstractAsyncContextManager[StreamedReply], broken_off: Callable[[HttpFailure], bytes]
) -> Response:
    """Return the reply of *opened*: whole, or as a stream that closes it at its end.

    A stream that breaks off ends with what *broken_off* returns.
    """
    async with AsyncExitStack() as stack:
        reply = await stack.enter_async_context(opened)
        media = reply.headers.get("Content-Type", "application/json")
        if not media.startswith(EVENTS):
            whole = await reply.read()
            return Response(whole.body, whole.status, media_type=media)
        release = stack.pop_all().aclose
        return HeldStream(_ended(reply.chunks, broken_off), release, reply.status, media)


async def _ended(
    chunks: AsyncIterator[bytes], broken_off: Callable[[HttpFailure], bytes]
) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            yield chunk
    except HttpFailure as failure:
        yield b"\n\n" + broken_off(failure)  # the last event may be cut


async def until_none(queue: asyncio.Queue[str | None], silence: float) -> AsyncIterator[str]:
    """Yield what arrives until None does; an empty text after *silence* seconds without anything."""
    while True:
        try:
            async with asyncio.timeout(silence):
                line = await queue.get()
        except TimeoutError:
            line = ""
        if line is None:
            return
        yield line


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
