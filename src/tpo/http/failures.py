"""Failures of requests, classified by what a caller can do about them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from tpo.http.masking import without_key
from tpo.http.sse import is_stream, joined

PASSING = {408, 409, 425, 429}
"""Statuses below 500 after which the same request may succeed."""
BUSY = {429, 529}
"""Statuses of a server that is healthy, and asks for fewer requests."""
REFUSING_CODES = {"insufficient_quota", "billing_hard_limit_reached"}
"""Codes that hosted APIs send with a status 429 which no waiting cures."""
_STATUS_OF = {
    "context_length": 400,
    "invalid_request": 400,
    "badrequest": 400,
    "rate_limit": 429,
    "overloaded": 529,
    "authentication": 401,
    "not_found": 404,
}
"""Statuses by words in an error's code or type."""
LONGEST_RETRY_AFTER = 86_400.0
"""Seconds above which ``Retry-After`` is taken for nonsense."""
WORDS_KEPT = 500
"""Characters of a server's own explanation that an error message quotes."""


class HttpFailure(Exception):
    """A request that brought no usable reply; its text is the reason, without any key.

    ``passes``: the same request may succeed later. ``fatal``: every other request would fail, too.
    ``status``: the server's, None if it gave none. ``retry_after``: seconds that it asked to wait.
    ``unreachable``: no connection was made. ``broken``: a connection broke, so another server may answer
    next. ``ambiguous``: fatal from a server that never answered; from one that has answered, it may be a
    passing error of a gateway.
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

    @property
    def busy(self) -> bool:
        """Return whether the server is healthy, and asks for fewer requests."""
        return self.status in BUSY

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class HttpReply:
    """Response of a server."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class StreamedReply:
    """A reply whose body arrives in *chunks*."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]

    async def read(self) -> HttpReply:
        """Return the whole reply."""
        return HttpReply(self.status, self.headers, b"".join([chunk async for chunk in self.chunks]))


@dataclass(frozen=True, slots=True)
class Server:
    """Server of a failure: address, key (kept out of every text), and where a user sets the key.

    *proxy* stands before it, and an error may be the proxy's own.
    """

    address: str
    key: str | None = None
    key_variable: str = "TPO_API_KEY"
    proxy: str | None = None

    @property
    def named(self) -> str:
        """The subject of a sentence."""
        through = "" if self.proxy is None else f" (through the proxy {self.proxy})"
        return f"the server at {self.address}{through}"

    def quote(self, text: str) -> str:
        """Return a server's *text* for an error message: no key, no controls, one line, not long."""
        if self.key:
            text = without_key(text, self.key)  # before cutting: half a key is a leak as well
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= WORDS_KEPT else text[:WORDS_KEPT] + "…"

    def __repr__(self) -> str:
        return f"Server({self.address!r})"


def read_json(reply: HttpReply, server: Server) -> Any:
    """The value in the body of *reply*.

    Raises:
        HttpFailure: the status is an error, the body holds an error, or it is no JSON.
    """
    if not 200 <= reply.status < 300:
        raise status_failure(reply, server)
    try:
        value = joined(reply.body) if is_stream(reply.body) else json.loads(reply.body)
    except ValueError as error:  # cut in the middle, no JSON, or no UTF-8
        start = server.quote(reply.body[:200].decode("utf-8", "replace"))
        raise HttpFailure(f"{server.named} sent a body that is no JSON: {start!r}", passes=True) from error
    inside = _error_in(value)
    if inside is not None:
        raise status_failure(_error_in_success(reply, inside), server)
    return value


def _error_in(value: Any) -> dict[str, Any] | str | None:
    """The error that a reply with a good status is or holds: of its own, or in all of its choices."""
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("error"), dict | str) and value["error"]:
        return value["error"]  # type: ignore[no-any-return]
    if value.get("object") == "error":
        return value
    choices = value.get("choices")
    errors = [choice_error(choice) for choice in choices] if isinstance(choices, list) else []
    return errors[0] if errors and all(errors) else None


def choice_error(choice: Any) -> dict[str, Any] | str | None:
    """The error that stands in place of a choice, as gateways send it; None where there is none."""
    if not isinstance(choice, dict):
        return None
    error = choice.get("error")
    if isinstance(error, dict | str) and error:
        return error
    failed = str(choice.get("finish_reason")).lower() == "error"
    return "the generation ended with an error (finish_reason: error)" if failed else None


def _error_in_success(reply: HttpReply, error: dict[str, Any] | str) -> HttpReply:
    """Some gateways answer 200 with an error inside; its code or type says which status it is."""
    said = error if isinstance(error, dict) else {}
    names = [str(said.get(name, "")).lower() for name in ("code", "status", "type")]
    numbers = [int(name) for name in names if re.fullmatch(r"[45]\d\d", name)]
    named = [status for word, status in _STATUS_OF.items() if any(word in name for name in names)]
    status = [*numbers, *named, 502][0]
    return HttpReply(status, reply.headers, json.dumps({"error": error}).encode())


def status_failure(reply: HttpReply, server: Server) -> HttpFailure:
    """Return the failure that an error status means."""
    words, code = _explanation(reply.body)
    said = server.quote(words)
    because = f": {said}" if said else ""
    at, status = server.named, reply.status
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
        return f"{server.named} asks for an API key: set {server.key_variable}"
    # With 401 servers quote the key, some of them half masked; with 403 they say what it may not do.
    words = because if status == 403 else ""
    return f"{server.named} refused the API key: set {server.key_variable}{words}"


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
    """Seconds to wait, from ``Retry-After`` as a number or a date; None if it says neither, or nonsense."""
    value = headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            seconds = max(0.0, (moment - datetime.now(UTC)).total_seconds())
        except (ValueError, OverflowError):
            return None
    return seconds if 0 <= seconds <= LONGEST_RETRY_AFTER else None
