"""Method: a test-time method as a frozen value with one coroutine."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from tpo.errors import ConfigError
from tpo.methods.attempt import Attempt
from tpo.methods.wording import Wording
from tpo.types import Messages, Phase, Query, Sampling, user

NO_WORDING = Wording({})


class Shape(TypedDict, total=False):
    """Keywords of functions that build a method by its name."""

    prompts: Path | None
    sample_size: int
    max_iterations: int
    temperature: float
    top_p: float
    critique_temperature: float
    critique_top_p: float
    max_tokens: int


class StepCall(NamedTuple):
    """A policy call that a method makes in each step.

    *completions*: how many it draws. *scored*: whether they are read as responses, and scored.
    """

    phase: Phase
    completions: int
    scored: bool = False


class Cost(NamedTuple):
    """Policy calls, completions and scores of one query that no rule stops early."""

    calls: int
    completions: int
    scores: int


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A test-time method. A new one is a subclass in a file of its own.

    ``optimize`` is the method; ``step_calls`` describes its calls for estimates and schedules.
    """

    name: str
    sample_size: int = 5
    """N: responses of a step."""
    max_iterations: int = 2
    """D: iterations after the first samples."""
    temperature: float = 0.7
    """Of calls that sample responses."""
    top_p: float = 0.95
    critique_temperature: float = 0.7
    """Of calls that sample no response; --temperature leaves it as it is, as in the reference."""
    critique_top_p: float = 0.99
    """Of calls that sample no response (the reference's value)."""
    max_tokens: int = 2048
    wording: Wording = NO_WORDING

    def __post_init__(self) -> None:
        for name, low in (("sample_size", 1), ("max_iterations", 0), ("max_tokens", 1)):
            value = _number(self, name, Integral)
            _require(value >= low, name, value, f"at least {low}")
        for name in ("temperature", "critique_temperature"):
            value = _number(self, name, Real)
            _require(value >= 0, name, value, "at least 0")
        for name in ("top_p", "critique_top_p"):
            value = _number(self, name, Real)
            _require(0 < value <= 1, name, value, "above 0 and at most 1")

    @abstractmethod
    async def optimize(self, attempt: Attempt) -> None:
        """Sample first responses of ``attempt.query``, then improve them step by step.

        The attempt scores each response into its pool, and records every call. When this returns, the
        answer is selected from the pool.
        """

    def first_prompt(self, query: Query) -> Messages:
        """Return the prompt of the first samples: the user's messages, unchanged."""
        return query.messages

    def step_calls(self, n: int) -> Sequence[StepCall]:
        """Return the calls of one step with N = *n*, in the order in which they are made."""
        return (StepCall("loss", 1), StepCall("gradient", 1), StepCall("update", n, scored=True))

    def cost(self, n: int, d: int) -> Cost:
        """Return what a query takes with N = *n* and D = *d*."""
        calls = (StepCall("sample", n, scored=True), *(tuple(self.step_calls(n)) * d))
        return Cost(
            len(calls),
            sum(call.completions for call in calls),
            sum(call.completions for call in calls if call.scored),
        )

    @property
    def sampling(self) -> Sampling:
        """Sampling values of responses; a call sets ``n`` and ``seed``."""
        return Sampling(self.sample_size, self.temperature, self.top_p, self.max_tokens, seed=0)

    @property
    def critique_sampling(self) -> Sampling:
        """Sampling values of critiques; a call sets ``n`` and ``seed``."""
        return Sampling(1, self.critique_temperature, self.critique_top_p, self.max_tokens, seed=0)

    def describe(self) -> dict[str, Any]:
        """Return every value that shapes the method's calls, for a run's record; the wording as a digest."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "wording"}
        return values | {"wording": self.wording.digest, "first_prompt": self._first_prompt_digest()}

    def _first_prompt_digest(self) -> str:
        """Return a hash that differs between methods whose first samples have different prompts."""
        prompt = json.dumps(self.first_prompt(Query("", (user("$query"),))), sort_keys=True)
        return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def _number(method: Method, name: str, kind: type) -> Any:
    """Return the value of the field *name*.

    Raises:
        ConfigError: it is no number of *kind*.
    """
    value = getattr(method, name)
    _require(
        isinstance(value, kind) and not isinstance(value, bool),
        name,
        repr(value),
        "an integer" if kind is Integral else "a number",
    )
    return value


def _require(holds: bool, name: str, value: object, rule: str) -> None:
    if not holds:
        raise ConfigError(f"--{name.replace('_', '-')} is {value}; it must be {rule}")
