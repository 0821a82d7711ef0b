"""Request form for raw logits of a vLLM of any version, found once by trying.

``/classify`` puts a sigmoid on a logit unless it is told not to, in words that changed between versions; a
word that a version does not know is ignored in silence. So each word is tried both ways: where the
numbers differ, it works, and the number without activation is the logit. (``/score`` is never used: its
numbers are off.)
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tpo.http import HttpFailure

SWITCHES = ("use_activation", "activation", "softmax")
"""The names that the field has had, the newest first."""
PATHS = ("/classify", "/pooling")
NOISE = 0.05
"""Difference, at most, between two probabilities of the same probe: other batches, bfloat16."""

Ask = Callable[[str, dict[str, Any]], Awaitable[list[float]]]
"""The numbers that a path gives for the probes with these further fields."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """The path and the field that give raw logits; no field where there is no activation to turn off."""

    path: str
    switch: str | None = None

    def fields(self, *, raw: bool = True) -> dict[str, Any]:
        """Request fields besides the input."""
        task = {"task": "classify"} if self.path == "/pooling" else {}
        return task if self.switch is None else task | {self.switch: not raw}

    def __str__(self) -> str:
        return self.path if self.switch is None else f"{self.path} with {self.switch}"


async def find_dialect(ask: Ask) -> Dialect:
    """The first dialect that gives raw logits.

    Raises:
        HttpFailure: there is none, and what to do about it; or the server failed meanwhile.
    """
    squashed = False
    refusal: HttpFailure | None = None
    for path in PATHS:
        for switch in SWITCHES:
            dialect = Dialect(path, switch)
            try:
                verdict = await _is_raw(ask, dialect)
            except HttpFailure as failure:
                if failure.passes or failure.unreachable or failure.status not in (400, 404, 422):
                    raise
                refusal = failure
                if failure.status == 404:
                    break  # no such path in this version: the next one
                continue
            if verdict:
                return dialect
            squashed = True
    if squashed:
        raise HttpFailure(
            "the server gives scores between 0 and 1 whatever it is asked: a sigmoid, under which good"
            " responses tie; start it with --pooler-config '{\"use_activation\": false}', or update vLLM",
            fatal=True,
        )
    raise _no_path(refusal)


def _no_path(refusal: HttpFailure | None) -> HttpFailure:
    if refusal is not None and refusal.status != 404:
        return HttpFailure(str(refusal), fatal=True, status=refusal.status)
    return HttpFailure(
        f"the server has neither {' nor '.join(PATHS)}: start vLLM with --runner pooling ({refusal})",
        fatal=True,
    )


async def _is_raw(ask: Ask, dialect: Dialect) -> bool:
    """Return whether the numbers without activation are the logits.

    They are if one of them is no probability, or if the activation changes them.
    """
    raw = await ask(dialect.path, dialect.fields())
    activated = await ask(dialect.path, dialect.fields(raw=False))
    return not all(0.0 <= value <= 1.0 for value in raw) or not same(raw, activated)


def same(first: Sequence[float], second: Sequence[float]) -> bool:
    """Return whether two answers to the same probes, probabilities or not, differ by :data:`NOISE` at most.

    A logit is its own sigmoid only at 0.659.
    """
    return all(math.isclose(a, b, rel_tol=0, abs_tol=NOISE) for a, b in zip(first, second, strict=True))
