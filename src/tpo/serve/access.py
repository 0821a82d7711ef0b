"""Access control: all but the operator's own paths need an API key, where there are some."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from tpo.serve.api_error import ApiError
from tpo.serve.api_format import error_body
from tpo.serve.connection import error_response
from tpo.serve.messages import MessagesFormat

SCHEME = b"bearer "
OPEN = ("/health", "/ready", "/metrics", "/openapi.json")


class AccessControl:
    """Middleware: requires one of *keys* for all paths but those of ``OPEN``."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._keys = [key.encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        path = _route(scope)
        is_guarded = scope["type"] != "lifespan" and path.rstrip("/") not in OPEN
        if not is_guarded or not self._keys or self._knows(scope):
            await self._app(scope, receive, send)
            return
        error = ApiError(401, "a valid API key is required", code="invalid_api_key")
        body = MessagesFormat().error(error) if path == "/v1/messages" else error_body(error)
        await error_response(body, error)(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        bearer = headers.get(b"authorization", b"")
        is_bearer = bearer[: len(SCHEME)].lower() == SCHEME
        given = headers.get(b"x-api-key") or (bearer[len(SCHEME) :] if is_bearer else bearer)
        # Every key is compared, so that the time tells nothing.
        found = [hmac.compare_digest(given, key) for key in self._keys]
        return any(found)


def _route(scope: Scope) -> str:
    """Return the path that routes are looked up by: without the prefix that the application is mounted at."""
    path, prefix = str(scope.get("path", "")), str(scope.get("root_path", ""))
    return path[len(prefix) :] if prefix and path.startswith(f"{prefix}/") else path
