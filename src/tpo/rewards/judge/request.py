"""A judge's request, and how it shrinks to what its server takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tpo.rewards.judge.wording import SCHEMA
from tpo.types import Message

SCHEMA_FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "grade", "schema": SCHEMA, "strict": True},
}
JSON_FORMAT = {"type": "json_object"}
MOST_ALTERNATIVES, FEW_ALTERNATIVES = 20, 5
"""Most that vLLM and OpenAI give at a token, and what the more frugal servers give."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Request fields besides the conversation, without those that the server refused."""

    form: Mapping[str, Any] | None = None
    alternatives: int = MOST_ALTERNATIVES
    limit: str | None = "max_tokens"
    sampled: bool = True

    def body(
        self, model: str, messages: list[Message], *, tokens: int, temperature: float, seed: int
    ) -> dict[str, Any]:
        """The request: one choice of at most *tokens* tokens."""
        body: dict[str, Any] = {"model": model, "messages": messages}
        if self.form is not None:
            body["response_format"] = self.form
        if self.alternatives:
            body |= {"logprobs": True, "top_logprobs": self.alternatives}
        if self.limit is not None:
            body[self.limit] = tokens
        if self.sampled:
            body |= {"temperature": temperature, "seed": seed}
        return body

    def without(self, refusal: str) -> Shape | None:
        """Return the fields without the one that a server's *refusal* names; None if it names none."""
        words = refusal.lower()
        if self.form is not None and any(
            w in words for w in ("response_format", "schema", "structured", "guided")
        ):
            return replace(self, form=JSON_FORMAT if self.form == SCHEMA_FORMAT else None)
        if self.alternatives and "logprobs" in words:
            return replace(self, alternatives=FEW_ALTERNATIVES if self.alternatives > FEW_ALTERNATIVES else 0)
        if self.limit == "max_tokens" and "max_completion_tokens" in words:
            return replace(self, limit="max_completion_tokens")
        if self.sampled and any(w in words for w in ("temperature", "seed")):
            return replace(self, sampled=False)
        return None


FULL = Shape(form=SCHEMA_FORMAT)
