"""Conversion of a user function's result to a score."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace
from typing import Any, SupportsFloat

from tpo.errors import RewardError, RewardRefused
from tpo.rewards.base import Reward
from tpo.types import Messages, Scope, Score

RewardValue = SupportsFloat | Score


async def ask_reward(reward: Reward, messages: Messages, response: str, scope: Scope) -> Score:
    """Return the score that *reward* gives for *response*; a plain number becomes one.

    Raises:
        RewardError: it gave no finite number.
        RewardRefused: its ``score`` is not asynchronous.
    """
    name = type(reward).__name__
    found = reward.score(messages, response, scope)
    if not inspect.isawaitable(found):
        raise RewardRefused(f"{name}.score must be a coroutine function (async def score)")
    return finite_score(await found, name, scope)


def score_or_raise(result: Score | BaseException) -> Score:
    """Return one of the results that ``asyncio.gather`` collects with exceptions, or raise it."""
    if isinstance(result, BaseException):
        raise result
    return result


def finite_score(value: Any, name: str, scope: Scope) -> Score:
    """Return *value* as a score: a finite number of any library, or a score that holds finite numbers.

    Raises:
        RewardError: it is anything else; the message says what *name* returned for which response.
    """
    score = as_score(value)
    if score is None:
        raise RewardError(f"{place(scope)}: {name} must return a finite number; it returned {value!r:.200}")
    return score


def as_score(value: Any) -> Score | None:
    """Return *value* as a score in plain floats; None if a number in it is not finite or no number."""
    try:
        if not isinstance(value, Score):
            return Score(_finite(value))
        parts = {name: _finite(part) for name, part in value.parts.items()}
        criteria = {name: _finite(grade) for name, grade in value.criteria.items()}
        check = None if value.check is None else _finite(value.check)
        return replace(value, value=_finite(value.value), parts=parts, criteria=criteria, check=check)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # an array of many, a number too large
        return None


def _finite(value: Any) -> float:
    if not isinstance(value, SupportsFloat):  # float() would read a text
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def place(scope: Scope) -> str:
    """Return the place of *scope*, with which error messages begin."""
    response = "" if scope.index is None else f", response {scope.step}.{scope.index}"
    return f"query {scope.query!r}{response}"
