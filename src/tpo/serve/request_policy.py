"""RequestPolicy: middleware that gives a policy's calls the fields of one client's request."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tpo.errors import AttemptStopped
from tpo.methods.tags import CLOSING, OPENING, start_of_update
from tpo.policies.base import Policy
from tpo.policies.wrapper import closing
from tpo.serve.api_error import invalid
from tpo.serve.request import ServedRequest, conversation_key
from tpo.serve.tool_turns import without_tool_turns
from tpo.types import (
    CRITIC,
    EDITOR,
    Completion,
    ExtendedSampling,
    Messages,
    Phase,
    Sampling,
    Scope,
    ToolCallCompletion,
    Usage,
)

FORMAT_FIELDS = (
    *("structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar"),
    *("grammar", "json_schema", "regex", "ebnf"),
)
"""Other fields than ``response_format`` by which vLLM, llama.cpp and SGLang constrain a whole reply."""
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
MOST_REFERENCES = 10_000
Check = Callable[[str], bool]

TAG_TOKENS = 16
"""Tokens that an update may take beyond the client's limit, for its tags."""

LOCAL_FIELDS = ("stop", "tool_choice", "function_call", "parallel_tool_calls", "prediction")
"""Fields of an answer that a policy without a server may get: ``stop`` is read here, the others are hints."""


class RequestPolicy:
    """Asks *policy* in the name of *request*; *spend* receives the usage of each completion.

    ``stop``, ``tools`` and ``response_format`` go to samples and updates, never to critiques. A first sample
    that calls tools ends the attempt and is the reply. With ``response_format`` an update is the whole reply;
    one that does not follow the format is not readable. Texts end before the first stop string, which a
    policy in this process does not know.
    """

    def __init__(self, policy: Policy, request: ServedRequest, spend: Callable[[Usage], None]) -> None:
        self._policy = policy
        self._request = request
        self._spend = spend
        self._is_valid = update_check(request.answer_fields)
        self._stops = _stops(request)
        self._route = conversation_key(request.messages)
        self.usage: dict[Phase, Usage] = {}
        """Usage by phase; a completion that ended the attempt counts as well."""
        self.first: Completion | None = None
        """The first completion of the first draw, for a reply without a score."""
        self.tool_call: ToolCallCompletion | None = None
        """The completion that ended the attempt."""
        self.failure: Exception | None = None
        """The last failure."""

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield the policy's completions."""
        extended = self._extended(sampling, scope.role)
        if scope.role in (CRITIC, EDITOR):
            messages = without_tool_turns(messages)
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
            sampling.n,
            sampling.temperature,
            sampling.top_p,
            limit,
            sampling.seed,
            extra=extra,
            route=self._route,
        )

    def _seen(self, completion: Completion, scope: Scope) -> Completion:
        self.usage[scope.phase] = self.usage.get(scope.phase, Usage()) + completion.usage
        self._spend(completion.usage)
        is_first = scope.step == 0 and completion.index == 0
        if isinstance(completion, ToolCallCompletion):
            if is_first:
                self.tool_call = completion
                raise AttemptStopped("tool_call")
            return replace(completion, text="")  # no final text, whatever it says beside
        if scope.role != CRITIC:
            has_tags = scope.role == EDITOR and self._is_valid is None
            completion = _until_stop(completion, self._stops, has_tags=has_tags)
        if is_first:
            self.first = completion
        if self._is_valid is None or scope.role != EDITOR:
            return completion
        if not self._is_valid(completion.text):
            return replace(completion, text="")
        return replace(completion, text=f"{OPENING}{completion.text}{CLOSING}")


def refuse_server_fields(answer_fields: Mapping[str, Any]) -> None:
    """Refuse fields that only a model server understands, for a policy in this process.

    Raises:
        ApiError: naming the first such field.
    """
    for field, value in answer_fields.items():
        is_text = field == "response_format" and value.get("type", "text") == "text"
        if value and not is_text and field not in LOCAL_FIELDS:
            raise invalid(f"{field}: the policy runs in this process; {field} needs a model server", field)


def _stops(request: ServedRequest) -> tuple[str, ...]:
    """Return the strings before which a text ends; none where the request wants to see them."""
    stop = request.answer_fields.get("stop") or ()
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    return () if request.extra.get("include_stop_str_in_output") else tuple(filter(None, stops))


def _until_stop(completion: Completion, stops: Sequence[str], *, has_tags: bool) -> Completion:
    """Return *completion* cut before the first of *stops*; if it *has_tags*, the first one of the update."""
    start, is_closed = start_of_update(completion.text) if has_tags else (0, False)
    text = completion.text[start:]
    body = text.lstrip() if has_tags else text
    ends = [body.index(stop) for stop in stops if stop in body]
    if not ends or (has_tags and not start):
        return completion
    cut = f"{completion.text[:start]}{body[: min(ends)]}"
    if is_closed and CLOSING not in cut[start:]:
        cut += CLOSING  # so that the update is still found by its tags
    return replace(completion, text=cut, finish_reason="stop")


def update_check(answer_fields: Mapping[str, Any]) -> Check | None:
    """Return a function that says whether an update, the whole reply, follows *answer_fields*.

    None where they leave the reply's form to the prompt, so that an update stands between tags.
    """
    given = answer_fields.get("response_format")
    check = validator(given)
    kind = given.get("type", "text") if isinstance(given, dict) else "text"
    is_constrained = kind != "text" or any(field in answer_fields for field in FORMAT_FIELDS)
    return _is_text if check is None and is_constrained else check


def validator(response_format: Any) -> Check | None:
    """Return a function that says whether a text follows *response_format*; None where that is not JSON.

    A schema of which a check takes more than MOST_REFERENCES references is not checked.

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

    count: list[int] = [0]
    given = response_format.get("json_schema")
    schema: Any = given.get("schema", {}) if isinstance(given, dict) else None
    try:
        given_class = validator_for(schema)
        # Neither patterns nor references may run for ever.
        changed = {"pattern": _anything, "patternProperties": _anything}
        changed |= {name: _counted(given_class.VALIDATORS.get(name), count) for name in REFERENCES}
        cls = extend(given_class, changed)  # type: ignore[no-untyped-call]
        cls.check_schema(schema)
    except (SchemaError, AttributeError, TypeError, RecursionError) as error:
        raise invalid("response_format.json_schema holds no valid schema", "response_format") from error
    checked = cls(schema, registry=Registry())  # an empty one: no reference is fetched

    def follows(text: str) -> bool:
        value = _json(text)
        count[0] = 0
        try:
            return value is not NO_JSON and bool(checked.is_valid(value))
        except Exception:  # noqa: BLE001 - a reference that cannot be resolved, or too many: nothing can be said
            return True

    return follows


NO_JSON = object()


def _is_text(text: str) -> bool:
    return bool(text.strip())


def _counted(check: Any, count: list[int]) -> Any:
    """Return the keyword *check*, which raises when it is called too often."""

    def counted(*values: Any) -> Any:
        count[0] += 1
        if count[0] > MOST_REFERENCES:
            raise RecursionError("too many references")
        return () if check is None else check(*values)

    return counted


def _anything(*_: object) -> tuple[()]:
    return ()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return NO_JSON
