"""ApiFormat: what the three APIs have in common; each reads requests and writes replies in its own form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from tpo.serve.api_error import ApiError
from tpo.serve.outcome import Outcome
from tpo.serve.request import ServedRequest
from tpo.types import Candidate, Completion

PIECE = 96
"""Characters of a content delta."""


class Writer(Protocol):
    """Writes the reply to one request, whole or as a stream of server-sent events."""

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """Return the reply."""
        ...

    def start(self) -> Iterator[bytes]:
        """Yield what a stream begins with."""
        ...

    def progress(self, text: str) -> Iterator[bytes]:
        """Yield *text* as reasoning."""
        ...

    def answer(self, outcome: Outcome) -> Iterator[bytes]:
        """Yield the answer and the end of the stream."""
        ...

    def failure(self, error: ApiError) -> Iterator[bytes]:
        """Yield *error* as the end of the stream."""
        ...


class ApiFormat(Protocol):
    """One API."""

    def read(self, body: dict[str, Any], name: str, headers: Mapping[str, str]) -> ServedRequest:
        """Return the validated request; *name* is the served model's.

        Raises:
            ApiError: the request is malformed.
        """
        ...

    def writer(self, request: ServedRequest) -> Writer:
        """Return the writer of the reply to *request*."""
        ...

    def error(self, error: ApiError) -> dict[str, Any]:
        """Return the body of an error reply."""
        ...


def sse(value: Mapping[str, Any], event: str | None = None) -> bytes:
    """Return a server-sent event."""
    name = f"event: {event}\n" if event is not None else ""
    return f"{name}data: {json.dumps(value)}\n\n".encode()


def pieces(text: str) -> list[str]:
    """Return *text* in pieces for content deltas."""
    return [text[i : i + PIECE] for i in range(0, len(text), PIECE)]


def finish_reason(answer: Candidate | Completion) -> str:
    """Return why the answer ended: ``stop`` or ``length``."""
    return "length" if answer.finish_reason == "length" else "stop"


def extension(outcome: Outcome) -> dict[str, Any]:
    """Return the ``tpo`` field of a reply."""
    phases = {
        phase: {"calls": u.calls, "prompt_tokens": u.prompt_tokens, "completion_tokens": u.completion_tokens}
        for phase, u in outcome.usage.items()
    }
    values: dict[str, Any] = {
        "trajectory": outcome.id,
        "stop_reason": outcome.stop_reason,
        "rewards": [
            c.score.value if isinstance(c, Candidate) and c.score is not None else None
            for c in outcome.answers
        ],
        "gain": outcome.gain,
        "degraded": outcome.degraded,
        "usage": phases,
    }
    if outcome.trajectory is not None:
        values |= {"method": outcome.trajectory.method, "steps": len(outcome.trajectory.steps)}
        values["reward_usage"] = asdict(outcome.trajectory.reward_usage)
        if outcome.trajectory.selection_usage.calls:
            values["selection_usage"] = asdict(outcome.trajectory.selection_usage)
    return values


def error_body(error: ApiError) -> dict[str, Any]:
    """Return an error in OpenAI's form."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }
