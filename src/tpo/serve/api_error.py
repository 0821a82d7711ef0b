"""Errors that a client sees, with their HTTP status."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tpo.errors import PromptTooLong, RewardError, TpoError
from tpo.http import HttpFailure
from tpo.http.outage import ADVICE

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""Error types by status, as OpenAI and Anthropic name them."""

RETRY_AFTER = 5
"""Seconds after which a client may try again, where no server says how many."""


class ApiError(Exception):
    """A refused or failed request.

    Attributes:
        status: the HTTP status.
        message: one sentence for the client, without addresses, keys or tracebacks.
        param: the field at fault.
        code: OpenAI's error code.
        retry_after: seconds after which the client may try again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.retry_after = retry_after

    @property
    def type(self) -> str:
        """The error type of the status."""
        return TYPES.get(self.status, "api_error")


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """Return the error of a request that can never succeed as it is."""
    return ApiError(400, message, param=param, code=code)


def late() -> ApiError:
    """Return the error of a deadline that passed before there was anything to answer with."""
    return ApiError(504, "the deadline passed before there was an answer")


def model_failure(error: BaseException | None, said: str, secrets: Sequence[str]) -> ApiError:
    """Return the client's error for a model's failure.

    It is 400 where the model's server refused the request or its context is too short for it, 429 where that
    server asks for fewer requests, else 503. A reward's server gets other texts than the client's: what it
    refuses is no fault of the request.
    *said* is the failure's text; *secrets*, such as servers' addresses, are left out of it.
    """
    cause = error if isinstance(error, HttpFailure) else getattr(error, "__cause__", None)
    for secret in secrets:
        said = said.replace(secret, "(address)")
    said = said.replace(f". {ADVICE}", "")  # it is for the user of a command
    if isinstance(error, PromptTooLong):
        return invalid(said, "messages", "context_length_exceeded")
    is_reward = isinstance(error, RewardError)
    if isinstance(cause, HttpFailure) and cause.status in (400, 413, 422) and not is_reward:
        return invalid(f"the model's server refused the request: {said}")
    passes = isinstance(cause, HttpFailure) and cause.passes
    if isinstance(cause, HttpFailure) and cause.status == 429 and (passes or not cause.fatal):
        wait = RETRY_AFTER if cause.retry_after is None else math.ceil(cause.retry_after)
        return ApiError(429, f"the model's server asks for fewer requests: {said}", retry_after=wait)
    if isinstance(error, TpoError | HttpFailure) and error.fatal and not passes:
        return ApiError(503, "the model refuses every request; the operator's log says why", retry_after=30)
    return ApiError(503, f"the model is not available: {said}", retry_after=RETRY_AFTER)
