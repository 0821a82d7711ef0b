"""Settings become built objects; what a policy or a reward is called on the command line is read here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tpo.config.settings import TINY, Settings
from tpo.errors import ConfigError
from tpo.method.recipe import Recipe
from tpo.method.recipes import build_recipe
from tpo.policies.base import Policy
from tpo.rewards.base import Reward
from tpo.tiny import policy_path, reward_path

API_KEY_VARIABLES = ("TPO_API_KEY", "OPENAI_API_KEY")
"""Where a server's key is looked for; nowhere else."""

POLICIES = (
    "there are tiny, hf:ID-OR-PATH, and the base URL of an OpenAI-compatible server (http://HOST:PORT/v1)"
)
REWARDS = "there are tiny, hf:ID-OR-PATH and python:MODULE:FUNCTION"
LATER = {"vllm": "a reward model behind a vLLM server", "judge": "a language model as judge"}


@dataclass(frozen=True, slots=True)
class Setup:
    """What a run works with."""

    settings: Settings
    policy: Policy
    reward: Reward
    recipe: Recipe


def build(settings: Settings, environment: Mapping[str, str]) -> Setup:
    """Everything that *settings* name, models loaded, the recipe first since its mistakes show at once.

    Raises:
        ConfigError: a name is unknown, or values do not go together.
        MissingExtra: an in-process model is named, and its libraries are not installed.
        PolicyRefused, RewardRefused: a model cannot be loaded.
    """
    recipe = make_recipe(settings)
    reward = build_reward(settings.reward, dtype=settings.dtype, device=settings.device)
    policy = build_policy(
        settings.policy[0],
        model=settings.model,
        extra=settings.policy_extra,
        dtype=settings.dtype,
        device=settings.device,
        concurrency=settings.concurrency,
        api_key=api_key(environment),
    )
    return Setup(settings, policy, reward, recipe)


def make_recipe(settings: Settings) -> Recipe:
    """The method with its N, D, texts and sampling values."""
    return build_recipe(
        settings.method,
        settings.prompts,
        sample_size=settings.sample_size,
        max_iterations=settings.max_iterations,
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_tokens=settings.max_tokens,
    )


def api_key(environment: Mapping[str, str]) -> str | None:
    """The server's key, from the first variable that holds one."""
    return next((environment[name] for name in API_KEY_VARIABLES if environment.get(name)), None)


def build_policy(
    specification: str,
    *,
    model: str | None = None,
    extra: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    device: str | None = None,
    concurrency: int = 64,
    api_key: str | None = None,
) -> Policy:
    """The policy that *specification* names: ``tiny``, ``hf:ID-or-path`` or a base URL.

    *model* and *extra* (fields added to each request) belong to a server, *dtype* and *device* to a model in
    this process.
    """
    kind, _, value = specification.partition(":")
    if kind in ("http", "https"):
        return _server(specification, model, extra or {}, concurrency, api_key)
    if specification != TINY and kind != "hf":
        raise ConfigError(f"--policy {specification}: unknown; {_meant(specification)}{POLICIES}")
    if model is not None or extra:
        option = "--model" if model is not None else "--policy-extra"
        raise ConfigError(f"{option} is for a server's base URL; --policy {specification} is in this process")
    path = str(policy_path()) if specification == TINY else _named("--policy", specification, value)
    from tpo.policies.local import HFPolicy

    return HFPolicy(path, dtype=dtype, device=device)


def _server(
    url: str, model: str | None, extra: Mapping[str, Any], concurrency: int, api_key: str | None
) -> Policy:
    if "@" in urlsplit(url).netloc:
        raise ConfigError("--policy: a URL with a password in it would end up in files; set TPO_API_KEY")
    from tpo.policies.limit import Limited
    from tpo.policies.openai import OpenAIPolicy

    policy = OpenAIPolicy(url, model=model, api_key=api_key, extra=extra)
    return Limited(policy, concurrency)


def _meant(specification: str) -> str:
    """What a name that nothing matches may have been meant as."""
    if "/" in specification and ":" not in specification:
        return f"did you mean hf:{specification}? "
    if specification.partition(":")[2][:1].isdigit():
        return f"did you mean http://{specification}? "
    return ""


def _named(option: str, specification: str, value: str) -> str:
    if not value:
        raise ConfigError(f"{option} {specification}: name a model, as in hf:ID-OR-PATH")
    return value


def build_reward(specification: str, *, dtype: str | None = None, device: str | None = None) -> Reward:
    """The reward that *specification* names: ``tiny``, ``hf:ID-or-path`` or ``python:module:function``."""
    kind, _, value = specification.partition(":")
    if kind == "python":
        from tpo.rewards.function import as_reward, load_function

        return as_reward(load_function(value))
    if kind in LATER:
        raise ConfigError(f"--reward {specification}: {LATER[kind]} is not supported yet; {REWARDS}")
    if specification != TINY and kind != "hf":
        raise ConfigError(f"--reward {specification}: unknown; {_meant(specification)}{REWARDS}")
    path = str(reward_path()) if specification == TINY else _named("--reward", specification, value)
    from tpo.rewards.hf import HFReward

    return HFReward(path, dtype=dtype, device=device)
