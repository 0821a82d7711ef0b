"""Clients of reward servers, and their failures as errors of rewards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tpo.errors import RewardError, RewardRefused, RewardUnavailable
from tpo.http import HttpClient, HttpFailure
from tpo.registry import REWARD_KEY_VARIABLE
from tpo.rewards.values import place
from tpo.types import Scope


def reward_clients(
    urls: str | Sequence[str], api_key: str | None, *, key_variable: str = REWARD_KEY_VARIABLE, **access: Any
) -> list[HttpClient]:
    """Return a client for each of *urls*; *access* goes to :class:`tpo.http.HttpClient`.

    *key_variable* is the environment variable that holds the key, for errors.

    Raises:
        ConfigError: a URL is none.
    """
    addresses = [urls] if isinstance(urls, str) else urls
    return [HttpClient(url, api_key, key_variable=key_variable, **access) for url in addresses]


def reward_error(failure: HttpFailure, scope: Scope | None = None, name: str = "reward") -> RewardError:
    """Return *failure* as an error of the reward *name*; without *scope* it concerns no one response."""
    if failure.fatal:
        return RewardRefused(f"{name}: {failure}")
    kind = RewardUnavailable if failure.passes or failure.unreachable else RewardError
    return kind(f"{place(scope)}: {failure}" if scope else f"{name}: {failure}")
