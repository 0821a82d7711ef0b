"""RequestPolicy: middleware that gives a policy's calls the fields of one client's request."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from tpo.errors import AttemptStopped
from tpo.methods.tags import CLOSING, OPENING
from tpo.policies.base import Policy
from tpo.policies.wrapper import closing
from tpo.serve.api_error import invalid
from tpo.serve.request import ServedRequest
from tpo.types import (
    CRITIC,
    EDITOR,
    Completion,
    ExtendedSampling,
    Messages,
    Sampling,
    Scope,
    ToolCallCompletion,
)

TAG_TOKENS = 16
"""Tokens that an update may take beyond the client's limit, for its tags."""


class RequestPolicy:
    """Asks *policy* in the name of *request*.

    ``stop``, ``tools`` and ``response_format`` go to samples and updates, never to critiques. A first sample
    that calls tools ends the attempt and is the reply. With ``response_format`` an update is the whole reply;
    one that does not follow the format is not readable.
    """

    def __init__(self, policy: Policy, request: ServedRequest) -> None:
        self._policy = policy
        self._request = request
        self._is_valid = validator(request.answer_fields.get("response_format"))
        self.first: Completion | None = None
        """The first completion of the first draw, for a reply without a score."""
        self.tool_call: ToolCallCompletion | None = None
        """The completion that ended the attempt."""
        self.failure: Exception | None = None
        """The last failure."""

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield the policy's completions."""
        extended = self._extended(sampling, scope.role)
        try:
            async with closing(self._policy.sample(messages, extended, scope)) as completions:
                async for completion in completions:
                    yield self._seen(completion, scope)
        except Exception as failure:
            self.failure = failure
            raise

    def _extended(self, sampling: Sampling, role: str) -> ExtendedSampling:
        request = self._request
        extra = dict(request.extra)
        limit = sampling.max_tokens
        if role != CRITIC:
            extra |= request.answer_fields
            if request.max_tokens is not None:
                has_tags = role == EDITOR and self._is_valid is None
                limit = request.max_tokens + (TAG_TOKENS if has_tags else 0)
        return ExtendedSampling(
            sampling.n, sampling.temperature, sampling.top_p, limit, sampling.seed, extra=extra
        )

    def _seen(self, completion: Completion, scope: Scope) -> Completion:
        if scope.step == 0 and completion.index == 0:
            self.first = completion
            if isinstance(completion, ToolCallCompletion):
                self.tool_call = completion
                raise AttemptStopped("tool_call")
        if self._is_valid is None or scope.role != EDITOR or isinstance(completion, ToolCallCompletion):
            return completion
        if not self._is_valid(completion.text):
            return replace(completion, text="")
        return replace(completion, text=f"{OPENING}{completion.text}{CLOSING}")


def validator(response_format: Any) -> Any:
    """Return a function that says whether a text follows *response_format*; None where any text does.

    Raises:
        ApiError: the format is malformed.
    """
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    if kind not in ("json_object", "json_schema"):
        return None
    if kind == "json_object":
        return lambda text: isinstance(_json(text), dict)
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import extend, validator_for
    from referencing import Registry

    given = response_format.get("json_schema")
    schema: Any = given.get("schema", {}) if isinstance(given, dict) else None
    try:
        # Without patterns, which a client could make run for ever.
        cls = extend(  # type: ignore[no-untyped-call]
            validator_for(schema), {"pattern": _anything, "patternProperties": _anything}
        )
        cls.check_schema(schema)
    except (SchemaError, AttributeError, TypeError, RecursionError) as error:
        raise invalid("response_format.json_schema holds no valid schema", "response_format") from error
    checked = cls(schema, registry=Registry())  # an empty one: no reference is fetched

    def follows(text: str) -> bool:
        value = _json(text)
        try:
            return value is not NO_JSON and bool(checked.is_valid(value))
        except Exception:  # noqa: BLE001 - a reference that cannot be resolved: nothing can be said
            return True

    return follows


NO_JSON = object()


def _anything(*_: object) -> tuple[()]:
    return ()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return NO_JSON
