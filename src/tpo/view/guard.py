"""Access control: only pages of this server in a browser on this machine may make requests.

Every page that the browser shows can reach a server on the loopback interface. A foreign page whose name
resolves to 127.0.0.1 (DNS rebinding) still sends that name as Host; a cross-origin request sends its Origin
or a Sec-Fetch-Site header. Each is refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names of this machine. Any port is accepted, since a tunnel may use another one."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
BARE = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""Content security policy of responses other than the page."""

Middleware = Callable[[web.Request, "Handler"], Awaitable[web.StreamResponse]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Call *handler* for permitted requests, refuse others."""
    if request.method != "GET":
        raise web.HTTPMethodNotAllowed(request.method, ["GET"])
    if not (_ours(request) and _same_origin(request)):
        raise web.HTTPForbidden(text="This server answers its own page on this machine only.\n")
    return await handler(request)


def token_guard(token: str) -> Middleware:
    """Return a middleware that asks for *token*: in the page's address, then in the cookie that it sets.

    A loopback server is reached by every account of the machine.
    """

    @web.middleware
    async def ask(request: web.Request, handler: Handler) -> web.StreamResponse:
        cookie = f"tpo-view-{request.url.port}"  # browsers do not tell ports apart
        if request.path == "/" and _same(request.query.get("token", ""), token):
            opened = web.HTTPFound("/")
            opened.set_cookie(cookie, token, httponly=True, samesite="Lax")
            raise opened
        if not _same(request.cookies.get(cookie, ""), token):
            raise web.HTTPForbidden(text="Open the address, token included, that tpo view has printed.\n")
        return await handler(request)

    return ask


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())


async def add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add security headers to every response, refusals included."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Content-Security-Policy", BARE)


def _ours(request: web.Request) -> bool:
    """Return whether the single Host header names this machine."""
    hosts = request.headers.getall("Host", [])
    return len(hosts) == 1 and _name(f"//{hosts[0]}") in LOOPBACK


def _same_origin(request: web.Request) -> bool:
    """Return whether the request is same-origin, or a navigation to the page itself."""
    origins = request.headers.getall("Origin", [])
    if any(origin != f"http://{request.headers['Host']}" for origin in origins):
        return False
    site = request.headers.get("Sec-Fetch-Site", "none")
    opened = request.path == "/" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    return site in ("same-origin", "none") or opened


def _name(address: str) -> str | None:
    """Return the host of *address* in lower case; None if it cannot be parsed."""
    try:
        parts = urlsplit(address)
        return None if parts.username is not None or parts.path else parts.hostname
    except ValueError:
        return None
