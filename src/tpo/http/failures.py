"""Failures of requests, classified by what a caller can do about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

PASSING = {408, 409, 425, 429}
"""Statuses below 500 after which the same request may succeed."""
BUSY = {429, 529}
"""Statuses of a server that is healthy, and asks for fewer requests."""
REFUSING_CODES = {"insufficient_quota", "billing_hard_limit_reached"}
"""Codes that hosted APIs send with a status 429 which no waiting cures."""
WORDS_KEPT = 500
"""Characters of a server's own explanation that an error message quotes."""


class HttpFailure(Exception):
    """A request that brought no usable reply; its text is the reason, without any key.

    ``passes``: the same request may succeed later. ``fatal``: no other request will fare better.
    ``status``: the server's, None if it gave none. ``retry_after``: seconds that it asked to wait.
    ``unreachable``: no connection came about. ``broken``: one broke off, so that whoever answers next may be
    another than before. ``ambiguous``: fatal from a server that never answered, but of one that has answered
    well it may be a moment's error of a gateway before it.
    """

    def __init__(
        self,
        reason: str,
        *,
        passes: bool = False,
        fatal: bool = False,
        status: int | None = None,
        retry_after: float | None = None,
        unreachable: bool = False,
        broken: bool = False,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passes = passes
        self.fatal = fatal
        self.status = status
        self.retry_after = retry_after
        self.unreachable = unreachable
        self.broken = broken
        self.ambiguous = ambiguous

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Reply:
    """Response of a server."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    """Server of a failure: address, key (kept out of every text), and where a user sets the key."""

    address: str
    key: str | None = None
    key_variable: str = "TPO_API_KEY"

    def quote(self, text: str) -> str:
        """A server's *text* for an error message: no key, no control characters, one line, not long."""
        if self.key:
            text = text.replace(self.key, "[key]")  # before cutting: half a key is a leak as well
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= WORDS_KEPT else text[:WORDS_KEPT] + "…"

    def __repr__(self) -> str:
        return f"Server({self.address!r})"


def read_json(reply: Reply, server: Server) -> Any:
    """The value in the body of *reply*.

    Raises:
        HttpFailure: the status is an error, the body holds an error, or it is no JSON.
    """
    if not 200 <= reply.status < 300:
        raise status_failure(reply, server)
    try:
        value = json.loads(reply.body)
    except ValueError as error:  # cut in the middle, no JSON, or no UTF-8
        start = server.quote(reply.body[:200].decode("utf-8", "replace"))
        raise HttpFailure(
            f"the server at {server.address} sent a body that is no JSON: {start!r}", passes=True
        ) from error
    if isinstance(value, dict) and isinstance(value.get("error"), dict | str) and value["error"]:
        raise status_failure(_error_in_success(reply, value["error"]), server)
    return value


def _error_in_success(reply: Reply, error: dict[str, Any] | str) -> Reply:
    """Some gateways answer 200 with an error inside; its code, if it is a status, says which."""
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 502
    return Reply(status, reply.headers, reply.body)


def status_failure(reply: Reply, server: Server) -> HttpFailure:
    """Return the failure that an error status means."""
    words, code = _explanation(reply.body)
    said = server.quote(words)
    because = f": {said}" if said else ""
    at, status = f"the server at {server.address}", reply.status
    if status in (401, 403):
        reason = _key_refused(server, status, because)
        return HttpFailure(reason, fatal=True, ambiguous=True, status=status)
    if code in REFUSING_CODES or status == 402:
        return HttpFailure(f"{at} asks for payment ({status}){because}", fatal=True, status=status)
    if 300 <= status < 400:
        target = server.quote(reply.headers.get("Location", "elsewhere"))
        reason = f"{at} redirects to {target}: use that URL"
        return HttpFailure(reason, fatal=True, ambiguous=True, status=status)
    if status in (404, 405) or code == "model_not_found":
        reason = f"{at} does not know this path or model ({status}){because}"
        return HttpFailure(reason, fatal=True, ambiguous=True, status=404)
    if status in PASSING or (status >= 500 and status != 501):
        wait = _retry_after(reply.headers)
        return HttpFailure(f"{at} answered {status}{because}", passes=True, status=status, retry_after=wait)
    return HttpFailure(f"{at} refused the request ({status}){because}", status=status)


def _key_refused(server: Server, status: int, because: str) -> str:
    if server.key is None:
        return f"the server at {server.address} asks for an API key: set {server.key_variable}"
    # With 401 servers quote the key, some of them half masked; with 403 they say what it may not do.
    words = because if status == 403 else ""
    return f"the server at {server.address} refused the API key: set {server.key_variable}{words}"


def _explanation(body: bytes) -> tuple[str, str | None]:
    """A server's own words and code, from the shapes that OpenAI, FastAPI, llama.cpp and Ollama use."""
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except ValueError:
        return text, None
    error = value.get("error", value) if isinstance(value, dict) else value
    if not isinstance(error, dict):
        return error if isinstance(error, str) else text, None
    words = error.get("message") or error.get("detail") or text
    if isinstance(words, str) and isinstance(
        error.get("n_ctx"), int
    ):  # llama.cpp, of a prompt too long for it
        words = f"{words} (n_ctx {error['n_ctx']})"
    code = error.get("code") or error.get("type")
    return words if isinstance(words, str) else json.dumps(words), code if isinstance(code, str) else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from ``Retry-After`` as a number or a date; None if it says neither."""
    value = headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return seconds if 0 <= seconds < float("inf") else None
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
