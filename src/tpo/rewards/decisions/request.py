"""Chat request of a decision or a grade, reduced step by step to the fields that its server takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tpo.http import HttpFailure
from tpo.http.chat import without_system_role
from tpo.http.refusals import refuses_system_role
from tpo.types import Message

_JSON_FORMAT: Mapping[str, Any] = {"type": "json_object"}
MOST_ALTERNATIVES, FEW_ALTERNATIVES = 20, 5
"""Most that vLLM and OpenAI give at a token, and what the more frugal servers give."""


def json_forms(name: str, schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the response formats for *schema*, the strictest first; the second is llama-cpp-python's."""
    strict = {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}
    return strict, {"type": "json_object", "schema": schema}, _JSON_FORMAT


@dataclass(frozen=True, slots=True)
class Shape:
    """Request fields besides the conversation, without those that the server refused.

    ``exact``: vLLM's ``logprob_token_ids``, the log-probabilities of named tokens however unlikely.
    ``scored``: a scoring endpoint beside chat, which gives the same.
    """

    forms: tuple[Mapping[str, Any], ...] = ()
    exact: bool = False
    scored: bool = False
    alternatives: int = MOST_ALTERNATIVES
    limit: str | None = "max_tokens"
    sampled: bool = True
    system: bool = True
    template: Mapping[str, Any] | None = None

    def body(
        self,
        model: str,
        messages: Sequence[Message],
        *,
        tokens: int,
        temperature: float,
        seed: int,
        token_ids: Sequence[int] = (),
    ) -> dict[str, Any]:
        """Return the request for one choice of at most *tokens* tokens; *token_ids* are labels' tokens."""
        turns = messages if self.system else without_system_role(tuple(messages))
        body: dict[str, Any] = {"model": model, "messages": list(turns), "stream": False}
        if self.forms:
            body["response_format"] = self.forms[0]
        if self.alternatives:
            body |= {"logprobs": True, "top_logprobs": self.alternatives}
        if self.exact and token_ids:
            body |= {"logprob_token_ids": list(token_ids), "top_logprobs": 0}
        if self.limit is not None:
            body[self.limit] = tokens
        if self.sampled:
            body |= {"temperature": temperature, "seed": seed}
        if self.template is not None:
            body["chat_template_kwargs"] = self.template
        return body

    def reasoning(self) -> Shape:
        """Return the shape for a model that reasons first: a format forbids that, and tokens tell nothing."""
        return replace(self, forms=(), exact=False, scored=False, alternatives=0)

    def less_exact(self) -> Shape:
        """Return the next way to learn the probability of a token, or of none where no way is left."""
        if self.exact:
            return replace(self, exact=False)
        return replace(self, scored=False) if self.scored else replace(self, alternatives=0)

    def without(self, refusal: HttpFailure, address: str) -> Shape | None:
        """Return what is left after a *refusal*, by what its words name; None if they name nothing here.

        Its status does not matter, since some servers answer 500. Words in *address* do not count.
        """
        if refusal.status is None or refusal.busy:
            return None
        words = refusal.reason.replace(address, "").lower()
        if self.system and refuses_system_role(refusal):
            return replace(self, system=False)
        if self.template is not None and "chat_template_kwargs" in words:
            return replace(self, template=None)
        if self.exact and "logprob" in words:
            return replace(self, exact=False)
        if self.forms and any(w in words for w in ("response_format", "schema", "structured", "guided")):
            return replace(self, forms=self.forms[1:])
        if self.alternatives and "logprobs" in words:
            return replace(self, alternatives=FEW_ALTERNATIVES if self.alternatives > FEW_ALTERNATIVES else 0)
        if self.limit == "max_tokens" and "max_completion_tokens" in words:
            return replace(self, limit="max_completion_tokens")
        if self.sampled and any(w in words for w in ("temperature", "seed")):
            return replace(self, sampled=False)
        return None
