"""From settings to policy, reward and method; all kinds of model names are those of the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tpo.config.option import flag_of
from tpo.config.settings import Settings
from tpo.config.specs import (
    CHECK_KEY_VARIABLE,
    all_reward_specs,
    check_spec,
    own_options,
    policy_options,
    reward_options,
    role_options,
    role_specs,
)
from tpo.data import ReadOptions
from tpo.errors import ConfigError
from tpo.events import Listener
from tpo.inprocess.weights import weights_digest
from tpo.methods.catalog import build_method
from tpo.methods.method import Method
from tpo.methods.named_models import policy_spec, require_taken
from tpo.policies.base import Policy
from tpo.registry import ModelSpec
from tpo.rewards.base import Reward


def make_method(settings: Settings) -> Method:
    """Build the method with its N, D, texts and sampling values."""
    return build_method(
        settings.method,
        settings.prompts,
        sample_size=settings.sample_size,
        max_iterations=settings.max_iterations,
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_tokens=settings.max_tokens,
        critique_temperature=settings.critique_temperature,
    )


def data_options(settings: Settings) -> ReadOptions:
    """Return how *settings* read data.

    Raises:
        ConfigError: two options exclude each other.
    """
    return ReadOptions(**{name: getattr(settings, name) for name in ReadOptions.__dataclass_fields__})


def resolve(settings: Settings) -> None:
    """Find the policy, the rewards and the method without loading a model or asking a server.

    Raises:
        ConfigError: one is not there.
    """
    make_method(settings)
    policy, rewards = policy_spec(settings.policy), all_reward_specs(settings)
    policy.resolve(policy_options(settings))
    for role, spec in role_specs(settings).items():
        with _role_named(role):
            spec.resolve(role_options(settings, role))
    for each in rewards:
        each.resolve(replace(reward_options(settings), own=own_options(each, settings)))


@contextmanager
def _role_named(role: str) -> Iterator[None]:
    """Name the option of *role* in errors about its model."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{flag_of(role)} {error}") from error


async def name_model(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """Return *settings* with the models' names, asked of a server where it serves one and none was named.

    Raises:
        PolicyRefused: it serves several, or none.
        PolicyError: it does not answer.
    """
    spec = policy_spec(settings.policy)
    names: dict[str, Any] = {"model": await spec.find_model(policy_options(settings, environment))}
    for role, each in role_specs(settings).items():
        names[f"{role}_model"] = await each.find_model(role_options(settings, role, environment))
    return replace(settings, **names)


def policy_of(settings: Settings, environment: Mapping[str, str], listener: Listener | None = None) -> Policy:
    """Build the policy that *settings* name; *listener* receives an event for each retry.

    Raises:
        ConfigError: a name is unknown, or values do not go together.
        MissingExtra: an in-process model is named, and its libraries are not installed.
        PolicyRefused: the model cannot be loaded.
    """
    spec, options = policy_spec(settings.policy), policy_options(settings, environment, listener)
    require_taken(spec, options)
    policy = spec.build(replace(options, own=own_options(spec, settings)))
    roles = {}
    for role, each in role_specs(settings).items():
        options = role_options(settings, role, environment, listener)
        with _role_named(role):
            roles[role] = each.build(replace(options, own=own_options(each, settings)))
    if not roles:
        return policy
    from tpo.policies.roles import RolePolicy

    return RolePolicy(policy, roles)


def reward_of(
    settings: Settings, environment: Mapping[str, str] | None = None, listener: Listener | None = None
) -> Reward:
    """Build the reward that *settings* name, or the ensemble of them; *listener* as of :func:`policy_of`.

    Raises:
        ConfigError: a name is unknown, or a file does not fit.
        MissingExtra, RewardRefused: a model cannot be loaded.
    """
    options = reward_options(settings, environment or {}, listener)
    specs = all_reward_specs(settings)
    if len(specs) > 1 or settings.reward_weights:
        from tpo.rewards.ensemble import checked_weights

        checked_weights(settings.reward_weights, settings.reward, settings.combine)
    built = {spec.name: spec.build(replace(options, own=own_options(spec, settings))) for spec in specs}
    if len(built) == 1:
        return next(iter(built.values()))
    from tpo.rewards.ensemble import Ensemble

    return Ensemble(
        {name: built[name] for name in settings.reward},
        settings.combine,
        calibration=settings.calibration,
        weights=settings.reward_weights,
        gates={name: built[name] for name in settings.gate},
    )


def check_of(
    settings: Settings, environment: Mapping[str, str] | None = None, listener: Listener | None = None
) -> Reward | None:
    """Build the check reward that *settings* name; None without one.

    Raises:
        ConfigError: its name is unknown, or it guides the run.
        MissingExtra, RewardRefused: it cannot be loaded.
    """
    spec, options = check_spec(settings), reward_options(settings, {}, listener)
    if spec is None:
        return None
    key = (environment or {}).get(CHECK_KEY_VARIABLE)
    return spec.build(replace(options, api_key=key, own=own_options(spec, settings)))


def weights_of(settings: Settings) -> dict[str, str | None]:
    """Return digests of what the models are made of, by a name for each; None if it is not here.

    They are of the weights of models in this process, and of the source of Python functions. A server's
    weights cannot be seen: there the model's name stands for them.
    """
    models: list[tuple[str, ModelSpec[Any]]] = [("policy", policy_spec(settings.policy))]
    models += role_specs(settings).items()
    models += [("reward", each) for each in all_reward_specs(settings)]
    check = check_spec(settings)
    models += [] if check is None else [("check reward", check)]
    specs = [(f"{what} {each.name}", each) for what, model in models for each in model.parts]
    weights = {what: weights_digest(each.location) for what, each in specs if each.location is not None}
    return weights | {f"source of {what}": each.source for what, each in specs if each.source is not None}
