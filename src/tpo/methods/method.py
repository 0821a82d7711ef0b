"""What a method is made of: the messages of each call, how a reply becomes a response, and N and D."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any

from tpo.errors import ConfigError
from tpo.methods.wording import Wording
from tpo.types import Completion, Feedback, Messages, Pair, Phase, Query, Sampling

OPENING = "<improved_response>"
CLOSING = "</improved_response>"
NO_WORDING = Wording({})


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """A method as a frozen value. A new one is a subclass in a file of its own, registered by its name.

    Where a call has no messages (an empty tuple from :meth:`loss` or :meth:`gradient`) it is not made.
    """

    name: str
    sample_size: int = 5
    """N: responses of a step."""
    max_iterations: int = 2
    """D: iterations after the first samples; 0 is best-of-N."""
    temperature: float = 0.7
    top_p: float = 0.95
    critique_top_p: float = 0.99
    """Of the loss and gradient calls (the reference's value)."""
    max_tokens: int = 2048
    wording: Wording = NO_WORDING

    def __post_init__(self) -> None:
        _require(self.sample_size >= 1, "--sample-size", self.sample_size, "at least 1")
        _require(self.max_iterations >= 0, "--max-iterations", self.max_iterations, "at least 0")
        _require(self.temperature >= 0, "--temperature", self.temperature, "at least 0")
        _require(0 < self.top_p <= 1, "--top-p", self.top_p, "above 0 and at most 1")
        _require(
            0 < self.critique_top_p <= 1, "--critique-top-p", self.critique_top_p, "above 0 and at most 1"
        )
        _require(self.max_tokens >= 1, "--max-tokens", self.max_tokens, "at least 1")

    def sample(self, query: Query) -> Messages:
        """The first samples' prompt: the user's messages, unchanged."""
        return query.messages

    @abstractmethod
    def loss(self, query: Query, pair: Pair) -> Messages:
        """Ask why the chosen response beats the rejected one, or, without one, where it stands."""

    @abstractmethod
    def gradient(self, query: Query, pair: Pair, loss: Feedback) -> Messages:
        """Ask for instructions that would improve the chosen response."""

    @abstractmethod
    def update(self, query: Query, pair: Pair, loss: Feedback, gradient: Feedback) -> Messages:
        """Ask for the improved response."""

    def read_update(self, completion: Completion) -> str | None:
        """The improved response in *completion*, or None where there is none.

        It stands between the last opening tag and the closing one. A reply that ended by itself may leave the
        closing tag out; one that was cut may not, since its end is missing.
        """
        _, opened, body = completion.text.rpartition(OPENING)
        response, closed, _ = body.rpartition(CLOSING)
        if not opened or not (closed or completion.finish_reason == "stop"):
            return None
        return (response if closed else body).strip() or None

    def samples(self, phase: Phase) -> int:
        """How many completions the call of *phase* asks for."""
        return 1 if phase in ("loss", "gradient") else self.sample_size

    def sampling(self, phase: Phase, seed: int) -> Sampling:
        """How the call of *phase* draws."""
        top_p = self.critique_top_p if phase in ("loss", "gradient") else self.top_p
        return Sampling(self.samples(phase), self.temperature, top_p, self.max_tokens, seed)

    def describe(self) -> dict[str, Any]:
        """Every value that shapes this method's calls, for a run's record; the wording by its digest."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "wording"}
        return values | {"wording": self.wording.digest}


def _require(holds: bool, option: str, value: object, rule: str) -> None:
    if not holds:
        raise ConfigError(f"{option} is {value}; it must be {rule}")
