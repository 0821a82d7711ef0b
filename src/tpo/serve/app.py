"""Routes of the endpoint and the life of a request."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from tpo.http import HttpFailure
from tpo.serve.access import AccessControl
from tpo.serve.admission import Place
from tpo.serve.api_error import ApiError, invalid, late, model_failure
from tpo.serve.api_format import ApiFormat, Writer, error_body, sse
from tpo.serve.chat import ChatFormat
from tpo.serve.connection import (
    AsciiJson,
    HeldStream,
    error_response,
    passed_on,
    read_body,
    until_disconnected,
    until_none,
)
from tpo.serve.messages import MessagesFormat
from tpo.serve.outcome import Outcome
from tpo.serve.request import OFF, ServedRequest, check_limits
from tpo.serve.responses import ResponsesFormat
from tpo.serve.service import Service
from tpo.serve.upstream import Upstream

log = logging.getLogger(__name__)

KEEP_ALIVE = 15.0
"""Seconds of silence after which a stream gets a comment, so that no proxy closes it."""
HTTP_ERROR = 400
"""The lowest status of an error."""
CLIENT_GONE = 499
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
            middleware=[Middleware(AccessControl, keys=self.keys)],
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
        return error_response(form.error(error), error)

    async def _reply(self, request: Request, form: ApiFormat) -> Response:
        service = self.service
        body = await read_body(request, service.limits.body_bytes)
        served = check_limits(
            form.read(body, service.name, request.headers), service.limits, service.settings
        )
        if served.is_off and self.upstream is not None and isinstance(form, ChatFormat):
            return await self._pass_on(request, self.upstream, body, served.controls.deadline)
        if body.get("logprobs") or body.get("top_logprobs"):
            raise invalid("logprobs are passed on from a model server's chat completions only", "logprobs")
        service.check(served)  # its mistakes are an error reply, not the end of a stream
        writer, place = form.writer(served), service.admission.admit()
        if served.stream:
            return HeldStream(self._stream(served, writer, place), place.leave)
        try:
            outcome = await until_disconnected(request, service.answer(served, place))
        finally:
            await place.leave()
        return AsciiJson(writer.whole(outcome))

    async def _stream(self, served: ServedRequest, writer: Writer, place: Place) -> AsyncIterator[bytes]:
        """Yield progress, comments while there is none, then the answer; cancel the work if left early."""
        arrived: asyncio.Queue[str | None] = asyncio.Queue()
        wanted = served.controls.progress
        shows = self.service.progress if wanted is None else wanted
        show = arrived.put_nowait if shows else None
        work = asyncio.create_task(self.service.answer(served, place, show))
        work.add_done_callback(lambda _: arrived.put_nowait(None))
        try:
            for part in writer.start():
                yield part
            async for line in until_none(arrived, self.keep_alive):
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

    async def _pass_on(
        self, request: Request, upstream: Upstream, body: Mapping[str, Any], deadline: float | None
    ) -> Response:
        """Return the policy's own reply, begun within *deadline*; of a stream, each chunk as it comes."""
        try:
            async with asyncio.timeout(deadline):
                opened = passed_on(upstream.complete(body), self._broken_off)
                response = await until_disconnected(request, opened)
        except TimeoutError as error:
            raise late() from error
        except HttpFailure as failure:
            log.error("a request that is passed on failed: %s", failure)
            raise model_failure(failure, failure.reason, self.service.hidden) from failure
        metrics, status = self.service.metrics, response.status_code
        (metrics.ended.labels(OFF) if status < HTTP_ERROR else metrics.errors.labels(status)).inc()
        return response

    def _broken_off(self, failure: HttpFailure) -> bytes:
        """Return the last event of a stream that the policy's server did not end."""
        log.error("a stream that is passed on broke off: %s", failure)
        error = model_failure(failure, failure.reason, self.service.hidden)
        self.service.metrics.errors.labels(error.status).inc()
        return sse(error_body(error))

    async def _models(self, _request: Request) -> Response:
        name = self.service.name
        names = (name, f"{name}@{OFF}", f"{name}@bon-8", f"{name}@tpo-d2-n5")
        cards = [{"id": each, "object": "model", "created": 0, "owned_by": "tpo"} for each in names]
        return AsciiJson({"object": "list", "data": cards})

    async def _health(self, _request: Request) -> Response:
        return AsciiJson({"status": "ok"})

    async def _ready(self, _request: Request) -> Response:
        reason = await self.service.readiness.fault()
        status = {"status": "ok"} if reason is None else {"status": "unavailable", "reason": reason}
        return AsciiJson(status, 200 if reason is None else 503)

    async def _metrics(self, _request: Request) -> Response:
        return Response(self.service.metrics.text(), media_type="text/plain; version=0.0.4")

    async def _openapi(self, _request: Request) -> Response:
        return AsciiJson(_openapi_document(self.service.name))


async def _http_error(_request: Request, raised: Exception) -> Response:
    status = raised.status_code if isinstance(raised, HTTPException) else 500
    message = {404: "there is no such path", 405: "this path does not take this method"}.get(
        status, "refused"
    )
    error = ApiError(status, message)
    headers = raised.headers if isinstance(raised, HTTPException) else None
    return AsciiJson(error_body(error), status, dict(headers or {}))


@cache
def _openapi_document(name: str) -> dict[str, Any]:
    """Return the API's description, with the served model's names as examples."""
    document: dict[str, Any] = json.loads(files("tpo.serve").joinpath("openapi.json").read_bytes())
    for schema in document["components"]["schemas"].values():
        if "model" in schema["properties"]:
            schema["properties"]["model"]["examples"] = [name, f"{name}@{OFF}"]
    return document
