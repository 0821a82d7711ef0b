"""A plain function as a reward, and how one is named on a command line."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, SupportsFloat, cast

from tpo.calling import awaitable
from tpo.errors import ConfigError, RewardError, TpoError
from tpo.rewards.base import Reward
from tpo.types import Message, Messages, Scope, Score

RewardValue = SupportsFloat | Score
RewardFunction = Callable[[list[Message], str], RewardValue | Awaitable[RewardValue]]
"""``f(messages, response) -> number``, sync or async; larger is better."""


class FunctionReward:
    """Calls *function* once a response; see :func:`as_reward`."""

    def __init__(self, function: RewardFunction) -> None:
        self._function = awaitable(function)
        self._name = getattr(function, "__name__", type(function).__name__)

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """What the function says of *response*."""
        place = f"query {scope.query!r}, response {scope.step}.{scope.index}"
        try:
            value = await self._function([message.copy() for message in messages], response)
        except TpoError:
            raise
        except Exception as error:
            raise RewardError(f"{place}: {self._name} raised {type(error).__name__}: {error}") from error
        score = _as_score(value)
        if score is None or not math.isfinite(score.value):
            raise RewardError(
                f"{place}: {self._name} must return a finite number; it returned {value!r:.200}"
            )
        return score


def _as_score(value: Any) -> Score | None:
    """*value* as a score: a number of any library, or a score already; None of anything else."""
    try:
        if isinstance(value, Score):
            return replace(value, value=float(value.value))
        return Score(float(value)) if isinstance(value, SupportsFloat) else None
    except (TypeError, ValueError, OverflowError, RuntimeError):  # an array of many, a number too large
        return None


def as_reward(reward: Reward | RewardFunction) -> Reward:
    """*reward* itself if it has a ``score`` method, else a reward that calls it as a function.

    The function is called as ``f(messages, response)`` and returns a finite number (numpy and torch scalars
    and bools count) or a ``Score``. It may be async. A sync function runs in worker threads, several
    responses at once, so it must bear that. A ``TpoError`` that it raises passes as it is (``RewardRefused``
    ends a whole run); any other exception, and any other value, becomes a ``RewardError`` of its query.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(reward, type) or not (hasattr(reward, "score") or callable(reward)):
        raise ConfigError(
            f"reward is {reward!r:.200}; it must be a function f(messages, response), "
            "or an object with a score method"
        )
    if hasattr(reward, "score"):
        return cast("Reward", reward)
    return FunctionReward(reward)


def load_function(specification: str) -> Reward | RewardFunction:
    """What ``module:function`` names, the working directory being importable; for :func:`as_reward`.

    It may also name an object with a ``score`` method, and dots lead into objects (``module:thing.part``).

    Raises:
        ConfigError: no such module or attribute, the module fails as it is imported, or it is no function.
    """
    module_name, colon, path = specification.partition(":")
    if not (module_name and colon and path):
        raise ConfigError(f"reward python:{specification}: write python:MODULE:FUNCTION")
    found: Any = _import(module_name, specification)
    for name in path.split("."):
        if not hasattr(found, name):
            raise ConfigError(f"reward python:{specification}: {module_name} has no {path!r}")
        found = getattr(found, name)
    if not (callable(found) or hasattr(found, "score")):
        raise ConfigError(f"reward python:{specification}: {path} is {found!r:.200}, not a function")
    return cast("Reward | RewardFunction", found)


def _import(name: str, specification: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # for good: what the module imports later may stand beside it
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(
                f"reward python:{specification}: no module {name!r}, looked in {here}"
            ) from error
        raise _failed(specification, name, error) from error
    except Exception as error:
        raise _failed(specification, name, error) from error


def _failed(specification: str, name: str, error: Exception) -> ConfigError:
    what = f"{type(error).__name__}: {error}"
    return ConfigError(f"reward python:{specification}: importing {name} failed with {what}")
