"""Who may ask: pages of this very server in a browser of this machine, and nobody in their name.

A server on the loopback is within reach of every page that the browser shows. A page elsewhere whose name is
made to resolve to 127.0.0.1 (DNS rebinding) still sends that name as Host; one that asks across origins sends
its Origin, or says so in Sec-Fetch-Site. Each is refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names of this machine. Any port: a tunnel may give it another one."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
BARE = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The policy of whatever is not the page."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let *handler* answer whom it may."""
    if request.method != "GET":
        raise web.HTTPMethodNotAllowed(request.method, ["GET"])
    if not (_ours(request) and _same_origin(request)):
        raise web.HTTPForbidden(text="This server answers its own page on this machine only.\n")
    return await handler(request)


async def harden(_request: web.Request, response: web.StreamResponse) -> None:
    """Add to every answer, refusals among them, what keeps it from being used elsewhere."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Content-Security-Policy", BARE)


def _ours(request: web.Request) -> bool:
    """Whether the one Host names this machine."""
    hosts = request.headers.getall("Host", [])
    return len(hosts) == 1 and _name(f"//{hosts[0]}") in LOOPBACK


def _same_origin(request: web.Request) -> bool:
    """Whether no page elsewhere asks; following a link to the page itself is no asking."""
    origins = request.headers.getall("Origin", [])
    if any(origin != f"http://{request.headers['Host']}" for origin in origins):
        return False
    site = request.headers.get("Sec-Fetch-Site", "none")
    opened = request.path == "/" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    return site in ("same-origin", "none") or opened


def _name(address: str) -> str | None:
    """The host of *address*, in small letters; None where it has none that can be read."""
    try:
        parts = urlsplit(address)
        return None if parts.username is not None or parts.path else parts.hostname
    except ValueError:
        return None
