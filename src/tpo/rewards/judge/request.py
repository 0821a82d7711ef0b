"""A judge's request, and how it shrinks to what its server takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tpo.http import HttpFailure
from tpo.http.chat import without_system_role
from tpo.http.refusals import refuses_system_role
from tpo.rewards.judge.wording import SCHEMA
from tpo.types import Message

SCHEMA_FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "grade", "schema": SCHEMA, "strict": True},
}
SCHEMA_OBJECT = {"type": "json_object", "schema": SCHEMA}
"""As llama-cpp-python's server takes a schema."""
JSON_FORMAT = {"type": "json_object"}
SMALLER: dict[str, Mapping[str, Any]] = {"json_schema": SCHEMA_OBJECT, "json_object": JSON_FORMAT}
MOST_ALTERNATIVES, FEW_ALTERNATIVES = 20, 5
"""Most that vLLM and OpenAI give at a token, and what the more frugal servers give."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Request fields besides the conversation, without those that the server refused."""

    form: Mapping[str, Any] | None = None
    alternatives: int = MOST_ALTERNATIVES
    limit: str | None = "max_tokens"
    sampled: bool = True
    system: bool = True

    def body(
        self, model: str, messages: list[Message], *, tokens: int, temperature: float, seed: int
    ) -> dict[str, Any]:
        """The request: one choice of at most *tokens* tokens."""
        turns = messages if self.system else list(without_system_role(tuple(messages)))
        body: dict[str, Any] = {"model": model, "messages": turns, "stream": False}
        if self.form is not None:
            body["response_format"] = self.form
        if self.alternatives:
            body |= {"logprobs": True, "top_logprobs": self.alternatives}
        if self.limit is not None:
            body[self.limit] = tokens
        if self.sampled:
            body |= {"temperature": temperature, "seed": seed}
        return body

    def without(self, refusal: HttpFailure, address: str) -> Shape | None:
        """Return what is left after a *refusal*, by what its words name; None if they name nothing here.

        Its status does not matter, since some servers answer 500. Words in *address* do not count.
        """
        if refusal.status is None or refusal.busy:
            return None
        words = refusal.reason.replace(address, "").lower()
        if self.system and refuses_system_role(refusal):
            return replace(self, system=False)
        if self.form is not None and any(
            w in words for w in ("response_format", "schema", "structured", "guided")
        ):
            return replace(self, form=None if self.form == JSON_FORMAT else SMALLER[self.form["type"]])
        if self.alternatives and "logprobs" in words:
            return replace(self, alternatives=FEW_ALTERNATIVES if self.alternatives > FEW_ALTERNATIVES else 0)
        if self.limit == "max_tokens" and "max_completion_tokens" in words:
            return replace(self, limit="max_completion_tokens")
        if self.sampled and any(w in words for w in ("temperature", "seed")):
            return replace(self, sampled=False)
        return None


FULL = Shape(form=SCHEMA_FORMAT)
