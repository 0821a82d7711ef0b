"""Rewards by name: one, or several put together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.config.names import SERVED, check_reward
from tpo.config.settings import TINY, Settings
from tpo.events import Listener
from tpo.http.retry import READ_TIMEOUT, RETRY_TIMEOUT, RetryPolicy
from tpo.rewards.base import Reward
from tpo.rewards.function import as_reward, load_function
from tpo.tiny import reward_path

REWARD_KEY_VARIABLE = "TPO_REWARD_API_KEY"
"""A reward's server is not the policy's, and must not be sent its key."""


@dataclass(frozen=True, slots=True)
class ServedName:
    """What ``vllm:URL[,URL…][#MODEL]`` says."""

    kind: str
    urls: tuple[str, ...]
    model: str | None

    @classmethod
    def of(cls, name: str) -> ServedName:
        """The parts of *name*."""
        kind, _, rest = name.partition(":")
        addresses, _, model = rest.partition("#")
        return cls(kind, tuple(filter(None, addresses.split(","))), model or None)


def reward_of(
    settings: Settings, environment: Mapping[str, str] | None = None, listener: Listener | None = None
) -> Reward:
    """The reward that *settings* name, or the ensemble of them; *listener* hears of calls tried again.

    Raises:
        ConfigError: a name is unknown, or a file does not fit.
        MissingExtra, RewardRefused: a model cannot be loaded.
    """
    options: dict[str, Any] = {
        "dtype": settings.dtype,
        "device": settings.device,
        "trust_remote_code": settings.trust_remote_code,
        "timeout": settings.timeout,
        "patience": settings.patience,
        "listener": listener,
        "tokenizer": settings.reward_tokenizer,
        "rubric": settings.rubric,
        "votes": settings.votes,
        "api_key": (environment or {}).get(REWARD_KEY_VARIABLE),
    }
    rewards = {name: build_reward(name, **options) for name in settings.reward}
    if len(rewards) == 1:
        return next(iter(rewards.values()))
    from tpo.rewards.ensemble import Ensemble

    return Ensemble(rewards, settings.combine, calibration=settings.calibration)


def build_reward(
    specification: str,
    *,
    dtype: str | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
    timeout: float = READ_TIMEOUT,
    patience: float = RETRY_TIMEOUT,
    listener: Listener | None = None,
    tokenizer: str | None = None,
    rubric: Path | None = None,
    votes: int = 5,
    api_key: str | None = None,
) -> Reward:
    """The reward that *specification* names.

    ``tiny``, ``hf:ID-or-path`` (with *dtype*, *device* and *trust_remote_code*), ``vllm:URL`` (with
    *tokenizer*), ``judge:URL`` (with *rubric* and *votes*) or ``python:module:function``. A server may be
    several, separated by commas, and ``#MODEL`` names the model there; *timeout* are its seconds of silence,
    *patience* those for which a failing call is tried again, which *listener* hears of.

    Raises:
        ConfigError: it names none.
        MissingExtra, RewardRefused: the model cannot be loaded.
    """
    check_reward(specification)
    kind, _, value = specification.partition(":")
    if kind == "python":
        return as_reward(load_function(value))
    if kind in SERVED:
        served, tries = ServedName.of(specification), RetryPolicy(timeout=patience)
        access: dict[str, Any] = {"model": served.model, "api_key": api_key, "retry": tries}
        access |= {"timeout": timeout, "listener": listener}
        if kind == "judge":
            return _judge(served.urls, rubric, votes=votes, **access)
        return _pooling(served.urls, tokenizer=tokenizer, trust_remote_code=trust_remote_code, **access)
    from tpo.rewards.hf import HFReward

    path = str(reward_path()) if specification == TINY else value
    return HFReward(path, dtype=dtype, device=device, trust_remote_code=trust_remote_code)


def _pooling(urls: Sequence[str], **options: Any) -> Reward:
    from tpo.rewards.vllm import VLLMReward

    return VLLMReward(urls, **options)


def _judge(urls: Sequence[str], rubric: Path | None, **options: Any) -> Reward:
    from tpo.rewards.judge import JudgeReward
    from tpo.rewards.judge.wording import DEFAULT_RUBRIC, read_rubric

    criteria = DEFAULT_RUBRIC if rubric is None else read_rubric(rubric)
    return JudgeReward(urls, rubric=criteria, **options)


def load_reward(specification: str | Sequence[str], **options: Any) -> Reward:
    """The reward that *specification* names as on the command line; several make an ensemble of their mean.

    *options* are those of :func:`build_reward`. A server's key comes from ``TPO_REWARD_API_KEY`` unless
    *api_key* is given.
    """
    options = {"api_key": os.environ.get(REWARD_KEY_VARIABLE)} | options
    if isinstance(specification, str):
        return build_reward(specification, **options)
    from tpo.rewards.ensemble import Ensemble

    return Ensemble({name: build_reward(name, **options) for name in specification})
