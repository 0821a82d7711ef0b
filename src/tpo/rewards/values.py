"""Conversion of a user function's result to a score."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, SupportsFloat

from tpo.errors import RewardError
from tpo.types import Scope, Score

RewardValue = SupportsFloat | Score


def finite_score(value: Any, name: str, scope: Scope) -> Score:
    """*value* as a score: a finite number of any library, or a score that holds one.

    Raises:
        RewardError: it is anything else; the message says what *name* returned for which response.
    """
    score = _as_score(value)
    if score is None or not math.isfinite(score.value):
        raise RewardError(f"{place(scope)}: {name} must return a finite number; it returned {value!r:.200}")
    return score


def _as_score(value: Any) -> Score | None:
    """*value* as a score; None of what is no number."""
    try:
        if isinstance(value, Score):
            return replace(value, value=float(value.value))
        return Score(float(value)) if isinstance(value, SupportsFloat) else None
    except (TypeError, ValueError, OverflowError, RuntimeError):  # an array of many, a number too large
        return None


def place(scope: Scope) -> str:
    """Return the place of *scope*, with which error messages begin."""
    response = "" if scope.index is None else f", response {scope.step}.{scope.index}"
    return f"query {scope.query!r}{response}"
