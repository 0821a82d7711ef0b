"""Settings become built objects; what a policy or a reward is called on the command line is read here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpo.config.names import check_policies, is_server
from tpo.config.rewards import reward_of
from tpo.config.settings import TINY, Settings
from tpo.events import Listener
from tpo.http.patience import DEADLINE, SILENCE, Patience
from tpo.methods.catalog import build_method
from tpo.methods.method import Method
from tpo.policies.base import Policy
from tpo.policies.limit import Limited
from tpo.rewards.base import Reward
from tpo.tiny import policy_path

if TYPE_CHECKING:  # imported when it is needed: it brings an HTTP client
    from tpo.policies.openai import OpenAIPolicy

API_KEY_VARIABLES = ("TPO_API_KEY", "OPENAI_API_KEY")
"""Where a server's key is looked for; nowhere else."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a run works with."""

    settings: Settings
    policy: Policy
    reward: Reward
    recipe: Method


def build(settings: Settings, environment: Mapping[str, str], listener: Listener | None = None) -> Setup:
    """Everything that *settings* name, models loaded, the recipe first since its mistakes show at once.

    *listener* hears of calls that are tried again.

    Raises:
        ConfigError: a name is unknown, or values do not go together.
        MissingExtra: an in-process model is named, and its libraries are not installed.
        PolicyRefused, RewardRefused: a model cannot be loaded.
    """
    recipe = make_recipe(settings)
    reward = reward_of(settings, environment, listener)
    return Setup(settings, policy_of(settings, environment, listener), reward, recipe)


def policy_of(settings: Settings, environment: Mapping[str, str], listener: Listener | None = None) -> Policy:
    """The policy that *settings* name; see :func:`build_policy`."""
    return build_policy(
        settings.policy,
        model=settings.model,
        extra=settings.policy_extra,
        dtype=settings.dtype,
        device=settings.device,
        trust_remote_code=settings.trust_remote_code,
        timeout=settings.timeout,
        patience=settings.patience,
        concurrency=settings.concurrency,
        api_key=api_key(environment),
        listener=listener,
    )


def make_recipe(settings: Settings) -> Method:
    """The method with its N, D, texts and sampling values."""
    return build_method(
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
    specification: str | Sequence[str],
    *,
    model: str | None = None,
    extra: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
    timeout: float = SILENCE,
    patience: float = DEADLINE,
    concurrency: int = 64,
    api_key: str | None = None,
    listener: Listener | None = None,
) -> Policy:
    """The policy that *specification* names: ``tiny``, ``hf:ID-or-path``, a base URL or several.

    *model*, *extra* (fields added to each request), *concurrency*, *api_key*, *listener*, *timeout* (seconds
    of silence) and *patience* (seconds of trying again) are for a server, *dtype*, *device* and
    *trust_remote_code* for a model in this process.

    Raises:
        ConfigError: it names none, or an option does not go with it.
        MissingExtra, PolicyRefused: the model cannot be loaded.
    """
    names = (specification,) if isinstance(specification, str) else tuple(specification)
    check_policies(names, model, bool(extra))
    if is_server(names[0]):
        options = {"extra": extra or {}, "listener": listener, "most": concurrency, "timeout": timeout}
        policy = _server(names, model, api_key, patience=Patience(deadline=patience), **options)
        return Limited(policy, concurrency)
    from tpo.policies.local import HFPolicy

    location = _location(names[0], policy_path())
    return HFPolicy(location, dtype=dtype, device=device, trust_remote_code=trust_remote_code)


async def name_model(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """*settings* with the model's name, asked of the server where it serves one and none was named.

    Raises:
        PolicyRefused: it serves several, or none.
        PolicyError: it does not answer.
    """
    if not is_server(settings.policy[0]) or settings.model is not None:
        return settings
    key, extra = api_key(environment), settings.policy_extra
    policy = _server(settings.policy, None, key, extra=extra, timeout=settings.timeout)
    try:
        await policy.check()
    finally:
        await policy.aclose()
    return settings.model_copy(update={"model": policy.model})


def _server(urls: Sequence[str], model: str | None, key: str | None, **options: Any) -> OpenAIPolicy:
    from tpo.policies.openai import OpenAIPolicy

    return OpenAIPolicy(urls, model, key, **options)


def _location(specification: str, tiny: Path) -> str:
    """The folder or hub id of a model in this process."""
    return str(tiny) if specification == TINY else specification.removeprefix("hf:")


def load_policy(specification: str | Sequence[str], **options: Any) -> Policy:
    """The policy that *specification* names as on the command line: ``tiny``, ``hf:ID-or-path``, base URLs.

    *options* are those of :func:`build_policy`. A server's key comes from ``TPO_API_KEY`` or
    ``OPENAI_API_KEY`` unless *api_key* is given.
    """
    return build_policy(specification, **({"api_key": api_key(os.environ)} | options))
