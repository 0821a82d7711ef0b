"""Diagnosis of wrong scores by the way they differ from the right ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tpo.errors import ConfigError

EXACT = 1e-3
"""Servers and transformers agree within this in float32."""
NOISE = 0.1
"""bfloat16 moves a score by up to 0.09 (measured on vLLM's CPU build)."""

Fault = Literal["none", "dtype", "sigmoid", "start token", "template", "weights"]

ADVICE: Mapping[Fault, str] = {
    "none": "the scores agree",
    "dtype": "the scores agree but for the noise of half precision",
    "sigmoid": "the server puts a sigmoid on its scores: ask for raw logits (use_activation: false)",
    "start token": "the start token is read twice, or never: send token ids, or add_special_tokens: false",
    "template": "another chat template is at work: compare those of the server and the tokenizer",
    "weights": "the scores have nothing in common: these are other weights, or another head",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of a check: the *fault*, the largest difference, and both rows of scores."""

    fault: Fault
    largest: float
    expected: tuple[float, ...]
    found: tuple[float, ...]

    @property
    def fine(self) -> bool:
        """Return whether the reward can be trusted."""
        return self.fault in ("none", "dtype")

    def __str__(self) -> str:
        return (
            f"{ADVICE[self.fault]} (largest difference {self.largest:.4g} over {len(self.expected)} scores)"
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence for a diagnosis besides the scores.

    *tokens*: by how many tokens the found reading is longer than the right one, for each score, where both
    are known. *misreadings*: the scores that the right weights give for conversations that are read
    wrongly, by the fault they show.
    """

    tokens: tuple[int, ...] = ()
    misreadings: Mapping[Fault, Sequence[Sequence[float]]] = field(default_factory=dict)


def diagnose(
    expected: Sequence[float], found: Sequence[float], evidence: Evidence | None = None
) -> Comparison:
    """Return why *found* differs from *expected*.

    Raises:
        ConfigError: there is nothing to compare, or not as many of one as of the other.
    """
    if not expected or len(expected) != len(found):
        raise ConfigError(f"golden check: {len(expected)} scores are expected, {len(found)} were found")
    known = evidence or Evidence()
    return Comparison(_fault(expected, found, known), _apart(expected, found), tuple(expected), tuple(found))


def _fault(expected: Sequence[float], found: Sequence[float], evidence: Evidence) -> Fault:
    apart = _apart(expected, found)
    if apart <= EXACT:
        return "none"
    if _is_sigmoid(expected, found):
        return "sigmoid"
    for fault, rows in evidence.misreadings.items():
        if any(_apart(row, found) <= min(NOISE, apart / 2) for row in rows):
            return fault
    if evidence.tokens and any(evidence.tokens):
        # One more or one fewer everywhere is a start token; anything else stands around the turns.
        return "start token" if set(evidence.tokens) in ({1}, {-1}) else "template"
    if apart <= NOISE:
        return "dtype"
    return "template" if _correlation(expected, found) > 0.5 else "weights"


def _is_sigmoid(expected: Sequence[float], found: Sequence[float]) -> bool:
    squashed = [_sigmoid(value) for value in expected]
    apart = _apart(squashed, found)
    # Half precision moves a logit by up to NOISE, so its sigmoid by up to a quarter of that.
    return apart <= NOISE / 4 and apart < _apart(expected, found) / 4


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def _apart(first: Sequence[float], second: Sequence[float]) -> float:
    return max(abs(a - b) for a, b in zip(first, second, strict=True))


def _correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's, 0 where one of them does not vary."""
    n = len(first)
    a = [value - sum(first) / n for value in first]
    b = [value - sum(second) / n for value in second]
    size = math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / size if size else 0.0
