"""ServedRequest: a client's request, validated, whatever API it came by."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from tpo.config import Settings
from tpo.entry_points import METHODS, registered
from tpo.serve.api_error import ApiError, invalid
from tpo.types import Message

OFF = "off"
"""Preset that passes a request on unchanged."""

HEADER = "x-tpo-"
PRESET = re.compile(r"(?P<method>[a-z][\w-]*?)(?:-d(?P<d>\d{1,4}))?(?:-n(?P<n>\d{1,4})|-(?P<bare>\d{1,4}))?")
LARGEST = 2**63
N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Ceilings that the operator sets.

    Attributes:
        body_bytes: size of a request body.
        messages: messages of a conversation.
        n: choices of a reply.
        sample_size: N of a request.
        max_iterations: D of a request.
        methods: methods that requests may name beside the operator's own; None: all.
        token_budget: weighted tokens of a request; None: unlimited. It applies to requests without one, too.
        deadline: seconds of a request; likewise.
        running: optimized requests at a time.
        waiting: requests that wait for that; further ones get 429.
    """

    body_bytes: int = 8 * 2**20
    messages: int = 1024
    n: int = 16
    sample_size: int = 16
    max_iterations: int = 5
    methods: tuple[str, ...] | None = None
    token_budget: int | None = None
    deadline: float | None = None
    running: int = 64
    waiting: int = 1024

    def allowing(self, settings: Settings) -> Limits:
        """Return limits that allow the operator's own *settings*, of which the concurrency is taken."""
        return replace(
            self,
            sample_size=max(self.sample_size, settings.sample_size),
            max_iterations=max(self.max_iterations, settings.max_iterations),
            running=settings.concurrency,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """Method, shape and stopping rules of a request; None takes the operator's default."""

    method: str | None = None
    sample_size: int | None = None
    max_iterations: int | None = None
    target_reward: float | None = None
    token_budget: int | None = None
    deadline: float | None = None
    progress: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRequest:
    """A validated request.

    Attributes:
        model: the model's name as the client wrote it.
        messages: the conversation.
        controls: how to optimize.
        n: number of choices.
        temperature, top_p, max_tokens, seed: sampling values; None takes the default.
        answer_fields: fields of the server's API for samples and updates only.
        extra: fields for every call to the policy.
        stream: whether the reply streams.
        include_usage: whether a stream ends with the usage.
    """

    model: str
    messages: tuple[Message, ...]
    controls: Controls = field(default_factory=Controls)
    n: int = 1
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    answer_fields: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = False
    include_usage: bool = False

    @property
    def is_off(self) -> bool:
        """True if the request is passed on unchanged."""
        return self.controls.method == OFF

    def identity(self, default_seed: int) -> str:
        """Return an id that equal requests share; streaming and shown progress do not count."""
        values = asdict(replace(self, stream=False, include_usage=False, model=""))
        values["seed"] = default_seed if self.seed is None else self.seed
        del values["controls"]["progress"]
        text = json.dumps(values, sort_keys=True, default=str)
        return "traj-" + hashlib.sha256(text.encode()).hexdigest()[:24]


def conversation_key(messages: Any) -> str:
    """Return a digest of a conversation up to its first user message, which stays the same as it grows."""
    turns = messages if isinstance(messages, list | tuple) else []
    roles = [turn.get("role") if isinstance(turn, dict) else None for turn in turns]
    end = roles.index("user") + 1 if "user" in roles else 1
    return hashlib.sha256(json.dumps(turns[:end]).encode()).hexdigest()


def read_model(model: object, name: str) -> tuple[str, Controls]:
    """Return the model's name and the controls of its preset: ``NAME``, ``NAME@bon-8``, ``NAME@off``.

    Raises:
        ApiError: 404, there is no such model or preset.
    """
    if not isinstance(model, str):
        raise invalid("model must be a string", "model")
    if model == name:
        return model, Controls()
    base, at, preset = model.rpartition("@")
    if not at or base != name:
        raise _unknown(f"the model {model[:200]!r} does not exist; there is {name!r}")
    if preset == OFF:
        return model, Controls(method=OFF)
    found = PRESET.fullmatch(preset)
    if found is None or found["method"] not in registered(METHODS):
        raise _unknown(f"the preset {preset[:200]!r} does not exist; write METHOD-dD-nN, or off")
    n = found["n"] or found["bare"]
    return model, Controls(
        method=found["method"],
        sample_size=int(n) if n else None,
        max_iterations=int(found["d"]) if found["d"] else None,
    )


def read_controls(preset: Controls, body: object, headers: Mapping[str, str]) -> Controls:
    """Return the controls of a request: its ``tpo`` field, before its headers, before the preset.

    Raises:
        ApiError: one is unknown or malformed.
    """
    if body is not None and not isinstance(body, dict):
        raise invalid("tpo must be an object", "tpo")
    given = {f.name: headers.get(HEADER + f.name.replace("_", "-")) for f in fields(Controls)}
    values: dict[str, Any] = {name: _parsed(name, text) for name, text in given.items() if text is not None}
    values |= {name: value for name, value in (body or {}).items() if value is not None}
    unknown = sorted(set(map(str, values)) - set(given))
    if unknown:
        raise invalid(f"tpo.{unknown[0][:100]}: unknown; there are {', '.join(given)}", "tpo")
    for name, value in values.items():
        _check_control(name, value)
    return replace(preset, **values)


def check_limits(request: ServedRequest, limits: Limits, defaults: Settings) -> ServedRequest:
    """Return *request* with the deadline and the token budget that apply; *defaults* are the operator's.

    Raises:
        ApiError: it goes beyond a ceiling.
    """
    controls = request.controls
    if len(request.messages) > limits.messages:
        raise invalid(f"at most {limits.messages} messages are allowed", "messages")
    allowed = limits.methods
    if allowed is not None and controls.method not in (None, OFF, defaults.method, *allowed):
        raise invalid(
            f"tpo.method: this server allows {', '.join((defaults.method, *allowed))}", "tpo.method"
        )
    _at_most(request.n, limits.n if request.is_off else min(limits.n, limits.sample_size), "n")
    _at_most(controls.sample_size or 0, limits.sample_size, "tpo.sample_size")
    _at_most(controls.max_iterations or 0, limits.max_iterations, "tpo.max_iterations")
    bound = replace(
        controls,
        deadline=_smallest(controls.deadline, defaults.deadline, limits.deadline),
        token_budget=_smallest(controls.token_budget, defaults.token_budget, limits.token_budget),
    )
    return replace(request, controls=bound)


def _smallest(given: N | None, default: N | None, limit: N | None) -> N | None:
    """Return *given*, else *default*, and no more than *limit*."""
    wanted = default if given is None else given
    return min([value for value in (wanted, limit) if value is not None], default=None)


def _at_most(value: int, limit: int, param: str) -> None:
    if value > limit:
        raise invalid(f"{param} is {value}; this server allows at most {limit}", param)


def _unknown(message: str) -> ApiError:
    return ApiError(404, message, param="model", code="model_not_found")


def _parsed(name: str, text: str) -> Any:
    if name == "method":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(f"the header {HEADER}{name.replace('_', '-')} is malformed") from error


def _check_control(name: str, value: object) -> None:
    param = f"tpo.{name}"
    if name == "progress":
        if not isinstance(value, bool):
            raise invalid(f"{param} must be true or false", param)
    elif name == "method":
        if not isinstance(value, str) or (value != OFF and value not in registered(METHODS)):
            known = ", ".join((*sorted(registered(METHODS)), OFF))
            raise invalid(f"{param}: unknown; there are {known}", param)
    elif name in ("sample_size", "max_iterations", "token_budget"):
        whole_number(value, param, low=0 if name == "max_iterations" else 1)
    else:
        number(value, param, low=0.0 if name == "deadline" else -1e30, high=1e30, above=name == "deadline")


def whole_number(value: object, param: str, *, low: int, high: int = LARGEST - 1) -> int:
    """Return *value* if it is an integer from *low* to *high*.

    Raises:
        ApiError: it is not.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise invalid(f"{param} must be an integer of at least {low}", param)
    return value


def number(value: object, param: str, *, low: float, high: float, above: bool = False) -> float:
    """Return *value* if it is a number from *low* to *high*; with *above*, greater than *low*.

    Raises:
        ApiError: it is not.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high or (above and value == low):  # type: ignore[operator]
        raise invalid(f"{param} must be a number between {low:g} and {high:g}", param)
    return float(value)  # type: ignore[arg-type]
