"""Routes of the endpoint, access control and the life of a request."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tpo.events import Event
from tpo.http import HttpFailure
from tpo.http.failures import StreamedReply
from tpo.serve.api_error import ApiError, invalid, model_failure
from tpo.serve.api_format import ApiFormat, Writer, error_body
from tpo.serve.chat import ChatFormat
from tpo.serve.messages import MessagesFormat
from tpo.serve.progress import progress_line
from tpo.serve.request import OFF, ServedRequest, check_limits
from tpo.serve.responses import ResponsesFormat
from tpo.serve.service import Outcome, Service
from tpo.serve.upstream import Upstream

log = logging.getLogger(__name__)

T = TypeVar("T")

KEEP_ALIVE = 15.0
"""Seconds of silence after which a stream gets a comment, so that no proxy closes it."""
CLIENT_GONE = 499
STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The routes over *service*.

    Args:
        service: answers requests.
        upstream: the policy's servers, for ``@off``; None for a policy in this process.
        keys: API keys, one of which a request under ``/v1`` must have; empty: none is needed.
        keep_alive: seconds between comments in a silent stream.
    """

    service: Service
    upstream: Upstream | None = None
    keys: Sequence[str] = ()
    keep_alive: float = KEEP_ALIVE

    def app(self) -> Starlette:
        """Return the application."""
        routes = [
            Route("/v1/chat/completions", self._handler(ChatFormat()), methods=["POST"]),
            Route("/v1/responses", self._handler(ResponsesFormat()), methods=["POST"]),
            Route("/v1/messages", self._handler(MessagesFormat()), methods=["POST"]),
            Route("/v1/models", self._models, methods=["GET"]),
            Route("/health", self._health, methods=["GET"]),
            Route("/ready", self._ready, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
            Route("/openapi.json", self._openapi, methods=["GET"]),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(_Guard, keys=self.keys)],
            exception_handlers={HTTPException: _http_error},
        )

    def _handler(self, form: ApiFormat) -> Handler:
        async def handle(request: Request) -> Response:
            try:
                return await self._reply(request, form)
            except ApiError as error:
                return self._failed(form, error)
            except ClientDisconnect:
                return Response(status_code=CLIENT_GONE)
            except Exception:
                log.exception("a request failed unexpectedly")
                return self._failed(form, ApiError(500, "internal error"))

        return handle

    def _failed(self, form: ApiFormat, error: ApiError) -> Response:
        self.service.metrics.errors.labels(error.status).inc()
        return _error_response(form.error(error), error)

    async def _reply(self, request: Request, form: ApiFormat) -> Response:
        service = self.service
        body = await _read_body(request, service.limits.body_bytes)
        served = check_limits(
            form.read(body, service.name, request.headers), service.limits, service.settings.deadline
        )
        service.admit()
        if served.is_off and self.upstream is not None and isinstance(form, ChatFormat):
            return await self._pass_on(request, self.upstream, body)
        if not served.is_off:
            service.method(served)  # its mistakes are an error reply, not the end of a stream
        writer = form.writer(served)
        if served.stream:
            events = self._stream(served, writer)
            return StreamingResponse(events, media_type="text/event-stream", headers=STREAM_HEADERS)
        outcome = await _until_disconnected(request, service.answer(served, _ignore))
        return JSONResponse(writer.whole(outcome))

    async def _stream(self, served: ServedRequest, writer: Writer) -> AsyncIterator[bytes]:
        """Yield progress, comments while there is none, then the answer; cancel the work if left early."""
        arrived: asyncio.Queue[str | None] = asyncio.Queue()
        wanted = served.controls.progress
        shows = self.service.progress if wanted is None else wanted

        def listen(event: Event) -> None:
            line = progress_line(event) if shows else None
            if line is not None:
                arrived.put_nowait(line)

        work = asyncio.create_task(self.service.answer(served, listen))
        work.add_done_callback(lambda _: arrived.put_nowait(None))
        try:
            for part in writer.start():
                yield part
            async for line in _until_none(arrived, self.keep_alive):
                for part in writer.progress(line) if line else (b": keep-alive\n\n",):
                    yield part
            for part in self._ending(work, writer):
                yield part
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    def _ending(self, work: asyncio.Task[Outcome], writer: Writer) -> Sequence[bytes]:
        try:
            return list(writer.answer(work.result()))
        except ApiError as error:
            failure = error
        except Exception:
            log.exception("a request failed unexpectedly")
            failure = ApiError(500, "internal error")
        self.service.metrics.errors.labels(failure.status).inc()
        return list(writer.failure(failure))

    async def _pass_on(self, request: Request, upstream: Upstream, body: Mapping[str, Any]) -> Response:
        """Return the policy's own reply; of a stream, each chunk as it comes."""
        try:
            response = await _until_disconnected(request, _passed_on(upstream.complete(body)))
        except HttpFailure as failure:
            raise model_failure(None, failure.reason, self.service.hidden) from failure
        self.service.metrics.ended.labels(OFF).inc()
        return response

    async def _models(self, _request: Request) -> Response:
        name = self.service.name
        names = (name, f"{name}@{OFF}", f"{name}@bon-8", f"{name}@tpo-d2-n5")
        cards = [{"id": each, "object": "model", "created": 0, "owned_by": "tpo"} for each in names]
        return JSONResponse({"object": "list", "data": cards})

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _ready(self, _request: Request) -> Response:
        reason = await self.service.ready()
        status = {"status": "ok"} if reason is None else {"status": "unavailable", "reason": reason}
        return JSONResponse(status, 200 if reason is None else 503)

    async def _metrics(self, _request: Request) -> Response:
        return Response(self.service.metrics.text(), media_type="text/plain; version=0.0.4")

    async def _openapi(self, _request: Request) -> Response:
        return JSONResponse(_openapi_document(self.service.name))


class _Guard:
    """Requires one of *keys* for paths under ``/v1``."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._keys = [key.encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if (
            scope["type"] == "http"
            and self._keys
            and scope["path"].startswith("/v1")
            and not self._knows(scope)
        ):
            error = ApiError(401, "a valid API key is required", code="invalid_api_key")
            body = error_body(error)
            if scope["path"] == "/v1/messages":
                body = MessagesFormat().error(error)
            await _error_response(body, error)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        given = headers.get(b"x-api-key") or headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        # Every key is compared, so that the time tells nothing.
        found = [hmac.compare_digest(given, key) for key in self._keys]
        return any(found)


async def _read_body(request: Request, limit: int) -> dict[str, Any]:
    """Return the JSON object in the body.

    Raises:
        ApiError: it is none, or larger than *limit* bytes.
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
    return body


async def _until_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T:
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


async def _passed_on(opened: AbstractAsyncContextManager[StreamedReply]) -> Response:
    """Return the reply of *opened*: whole, or as a stream that closes it at its end."""
    async with AsyncExitStack() as stack:
        reply = await stack.enter_async_context(opened)
        media = reply.headers.get("Content-Type", "application/json")
        if not media.startswith("text/event-stream"):
            whole = await reply.read()
            return Response(whole.body, whole.status, media_type=media)
        kept = stack.pop_all()

    async def chunks() -> AsyncIterator[bytes]:
        async with kept:
            async for chunk in reply.chunks:
                yield chunk

    return StreamingResponse(chunks(), reply.status, STREAM_HEADERS, media)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _until_none(queue: asyncio.Queue[str | None], silence: float) -> AsyncIterator[str]:
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


async def _http_error(_request: Request, raised: Exception) -> Response:
    status = raised.status_code if isinstance(raised, HTTPException) else 500
    message = {404: "there is no such path", 405: "this path does not take this method"}.get(
        status, "refused"
    )
    error = ApiError(status, message)
    headers = raised.headers if isinstance(raised, HTTPException) else None
    return JSONResponse(error_body(error), status, dict(headers or {}))


def _error_response(body: Mapping[str, Any], error: ApiError) -> Response:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return JSONResponse(body, error.status, headers)


def _ignore(event: Event) -> None:
    del event


@cache
def _openapi_document(name: str) -> dict[str, Any]:
    """Return the API's description, with the served model's names as examples."""
    document: dict[str, Any] = json.loads(files("tpo.serve").joinpath("openapi.json").read_bytes())
    for schema in document["components"]["schemas"].values():
        if "model" in schema["properties"]:
            schema["properties"]["model"]["examples"] = [name, f"{name}@{OFF}"]
    return document
