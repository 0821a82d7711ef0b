"""Eligible responses of a pool for a training set, by step and length."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from tpo.errors import ConfigError
from tpo.types import Candidate

SPAN = re.compile(r"(\d{1,9})(?:(-)(\d{1,9})?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps of a run as spans of numbers, both ends in them; no end: to the last step. 0: first samples."""

    spans: tuple[tuple[int, int | None], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The steps in *text*: ``0``, ``1,3``, ``1-2``, ``1-`` or several of these.

        Raises:
            ConfigError: it is none of these, or a span ends before it begins.
        """
        return cls(tuple(_span(part.strip(), text) for part in text.split(",")))

    def __contains__(self, step: int) -> bool:
        return any(low <= step and (high is None or step <= high) for low, high in self.spans)


def _span(part: str, text: str) -> tuple[int, int | None]:
    found = SPAN.fullmatch(part)
    if found is None:
        raise ConfigError(
            f"--steps takes steps such as 0 or 1,3 or 1-2 or 1- (1 and all after it), not {text!r}"
        )
    low = int(found[1])
    if found[2] is None:
        return low, low
    high = int(found[3]) if found[3] else None
    if high is not None and high < low:
        raise ConfigError(f"--steps {text}: {part} ends before it begins")
    return low, high


@dataclass(frozen=True, slots=True)
class Eligible:
    """Filter for responses drawn in *steps* (None: in all) with at most *max_characters* (None: any length).

    A blank response is not eligible if its reward is the highest: a trainer would learn to say nothing.

    Raises:
        ConfigError: *max_characters* is below 1.
    """

    steps: Steps | None = None
    max_characters: int | None = None

    def __post_init__(self) -> None:
        if self.max_characters is not None and self.max_characters < 1:
            raise ConfigError(f"--max-chars must be 1 or more, not {self.max_characters}")

    def of(self, pool: Iterable[Candidate]) -> tuple[Candidate, ...]:
        """Return those of *pool* that are eligible, in its order."""
        drawn = (c for c in pool if self.steps is None or c.step in self.steps)
        taken = [c for c in drawn if self.short(c)]
        best = max((c.reward for c in taken if not is_blank(c)), default=-math.inf)
        return tuple(c for c in taken if c.reward < best or not is_blank(c))

    def short(self, candidate: Candidate) -> bool:
        """Return whether *candidate* is not too long."""
        return self.max_characters is None or len(candidate.text) <= self.max_characters


def is_blank(candidate: Candidate) -> bool:
    """Return whether *candidate* holds no text."""
    return not candidate.text.strip()


EVERYTHING = Eligible()
"""Every response."""
