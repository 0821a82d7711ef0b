"""Specs of the models that settings name, their options, and what is refused.

Nothing here loads a model or asks a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tpo.config.keys import refuse_keys
from tpo.config.option import flag_of
from tpo.config.settings import TINY, Settings
from tpo.entry_points import REWARDS
from tpo.errors import ConfigError
from tpo.events import Listener
from tpo.methods.named_models import api_key, policy_spec, require_taken
from tpo.policies.base import Policy
from tpo.registry import REWARD_KEY_VARIABLE, ModelOptions, ModelSpec, parse, usages
from tpo.rewards.base import Reward
from tpo.types import CRITIC, EDITOR, Sampling

CHECK_KEY_VARIABLE = "TPO_CHECK_API_KEY"
"""Environment variable with the key of the check reward's server; other keys are not sent there."""
ROLES = (CRITIC, EDITOR)
"""Roles that may have a model of their own; its key is in ``TPO_CRITIC_API_KEY``, ``TPO_EDITOR_API_KEY``."""


def role_specs(settings: Settings) -> dict[str, ModelSpec[Policy]]:
    """Parse the names of the policies of roles, those that have one.

    Raises:
        ConfigError: as of :func:`policy_spec`, or a role without a policy has options of one.
    """
    named = {role: getattr(settings, role) for role in ROLES}
    for role, names in named.items():
        for option in (f"{role}_model", f"{role}_extra"):
            if not names and getattr(settings, option):
                raise ConfigError(f"{flag_of(option)} is for a --{role}, and none is named")
    return {role: policy_spec(names, flag_of(role)) for role, names in named.items() if names}


def role_identities(settings: Settings) -> dict[str, Any]:
    """Return what may not change of the policies of roles, for the fingerprint; nothing without any."""
    values: dict[str, Any] = {}
    for role, spec in role_specs(settings).items():
        options = role_options(settings, role)
        values[role] = spec.identity(options)
        values |= {f"{role}_extra": options.extra} if options.extra else {}
    return values


def role_options(
    settings: Settings,
    role: str,
    environment: Mapping[str, str] | None = None,
    listener: Listener | None = None,
) -> ModelOptions:
    """Return what *settings* and *environment* say of the policy of *role*."""
    return replace(
        policy_options(settings, {}, listener),
        model=getattr(settings, f"{role}_model"),
        extra=getattr(settings, f"{role}_extra"),
        api_key=(environment or {}).get(f"TPO_{role.upper()}_API_KEY"),
    )


def reward_specs(names: Sequence[str]) -> tuple[ModelSpec[Reward], ...]:
    """Parse the reward *names*.

    Raises:
        ConfigError: one is unknown, or named twice.
    """
    specs = tuple(parse(REWARDS, name, "--reward") for name in names)
    if len(set(names)) < len(names):
        raise ConfigError(f"--reward: {', '.join(names)}: name each reward once")
    return specs


def check_spec(settings: Settings) -> ModelSpec[Reward] | None:
    """Parse the name of the check reward, if there is one.

    Raises:
        ConfigError: it is unknown.
    """
    return None if settings.check_reward is None else parse(REWARDS, settings.check_reward, "--check-reward")


def all_reward_specs(settings: Settings) -> tuple[ModelSpec[Reward], ...]:
    """Parse the names of the rewards and of the gates.

    Raises:
        ConfigError: one is unknown, or named twice.
    """
    gates = tuple(parse(REWARDS, name, "--gate") for name in settings.gate)
    if len({*settings.gate, *settings.reward}) < len(settings.gate) + len(set(settings.reward)):
        raise ConfigError(f"--gate: {', '.join(settings.gate)}: name each once, and no --reward again")
    return (*reward_specs(settings.reward), *gates)


def reward_columns(settings: Settings) -> dict[str, Mapping[str, bool]]:
    """Return the columns of the data that each reward, gate and check reward reads, by its name.

    Raises:
        ConfigError: a name is unknown, or a rubric cannot be read.
    """
    check = check_spec(settings)
    specs = (*all_reward_specs(settings), *(() if check is None else (check,)))
    options = reward_options(settings)
    return {spec.name: spec.columns(replace(options, own=own_options(spec, settings))) for spec in specs}


def check_names(settings: Settings) -> None:
    """Refuse names that no policy or reward has, and options that do not go with them.

    Raises:
        ConfigError: naming the option, what there is, and what may have been meant.
    """
    refuse_keys("--policy-extra", settings.policy_extra)
    refuse_keys("--chat-template-kwargs", settings.chat_template_kwargs)
    for kind, options in settings.kind_options.items():
        refuse_keys(f"--kind-options: {kind}", options)
    policy, rewards = policy_spec(settings.policy), all_reward_specs(settings)
    check = check_spec(settings)
    rewards += () if check is None else (check,)
    if settings.chat_template_kwargs and "extra" not in policy.takes:
        raise ConfigError(
            f"--chat-template-kwargs is for a server or an hf: model; --policy {policy.name} takes none"
        )
    require_taken(policy, policy_options(settings))
    roles = role_specs(settings)
    for role, spec in roles.items():
        refuse_keys(flag_of(f"{role}_extra"), getattr(settings, f"{role}_extra"))
        require_taken(spec, role_options(settings, role), role)
    models = (policy, *roles.values(), *rewards)
    for each in models:
        own_options(each, settings)
    if settings.rubric is not None and not any("rubric" in each.takes for each in rewards):
        raise ConfigError(f"--rubric {settings.rubric} is for --reward judge:URL")
    unused = settings.kind_options.keys() - {each.kind for each in models}
    if unused:
        raise ConfigError(f"--kind-options: {min(unused)}: no policy or reward of this kind is named")


def require_reward(policies: Sequence[str], *, has_reward: bool) -> None:
    """Refuse a policy other than the embedded one without a reward by name.

    Raises:
        ConfigError: likewise, or a policy is unknown.
    """
    policy_spec(policies)
    if has_reward or tuple(policies) == (TINY,):
        return
    there = ", ".join(usage for usage in usages(REWARDS) if usage != TINY)
    raise ConfigError(
        f"--policy {policies[0]}: name a reward too, with --reward ({there}); the embedded reward"
        " knows short messages only (--reward tiny uses it anyway)"
    )


def policy_identity(settings: Settings) -> Any:
    """Return what may not change of the policy in a run: a server may move, its model may not."""
    own = settings.kind_options.get(policy_spec(settings.policy).kind)
    return {"name": policy_name(settings), "options": own} if own else policy_name(settings)


def reward_identity(settings: Settings) -> Any:
    """Return what may not change of the rewards in a run: names, combination and what shapes scores."""
    options = reward_options(settings)
    names = [spec.identity(options) for spec in reward_specs(settings.reward)]
    extra: dict[str, Any] = {"combine": settings.combine} if len(names) > 1 else {}
    specs = all_reward_specs(settings)
    if settings.gate:
        extra["gates"] = [spec.identity(options) for spec in specs[len(names) :]]
    if settings.reward_weights:
        extra["weights"] = settings.reward_weights
    details: dict[str, list[Any]] = {}
    for spec in specs:
        for key, value in spec.details(replace(options, own=own_options(spec, settings))).items():
            details.setdefault(key, []).append(value)
        if spec.kind in settings.kind_options:
            extra.setdefault("options", {})[spec.kind] = settings.kind_options[spec.kind]
    for key, values in details.items():
        extra[key] = values[0] if all(value == values[0] for value in values) else values
    if extra:
        return {"names": names} | extra
    return names[0] if len(names) == 1 else names


def require_held_out(check_reward: str | None, rewards: Sequence[str]) -> None:
    """Require that *check_reward* is none of *rewards*, the guiding rewards and gates.

    Raises:
        ConfigError: it is one.
    """
    if check_reward in rewards:
        raise ConfigError(
            f"--check-reward {check_reward} is also a --reward or --gate: a held-out reward must not"
            " guide a run; choose another one"
        )


def check_identity(settings: Settings) -> dict[str, Any]:
    """Return what may not change of a run's check reward, for the fingerprint; nothing without one.

    Like that of the guiding reward, it holds what shapes scores, such as the content of a rubric.

    Raises:
        ConfigError: it is unknown, or guides the run.
    """
    if settings.check_reward is None:
        return {}
    require_held_out(settings.check_reward, (*settings.reward, *settings.gate))
    alone = replace(settings, reward=(settings.check_reward,), gate=(), reward_weights={})
    return {"check_reward": reward_identity(alone)}


def policy_name(settings: Settings) -> str:
    """Return the policy's name: its model's at a server."""
    return policy_spec(settings.policy).identity(policy_options(settings))


def policy_short_name(settings: Settings) -> str:
    """Return the policy's name as a directory's name includes it; empty for the embedded one."""
    return policy_spec(settings.policy).short_name(policy_options(settings))


def policy_options(
    settings: Settings, environment: Mapping[str, str] | None = None, listener: Listener | None = None
) -> ModelOptions:
    """Return what *settings* and *environment* say of the policy; *listener* receives retries."""
    return ModelOptions(
        model=settings.model,
        extra=settings.policy_fields,
        dtype=settings.dtype,
        device=settings.device,
        trust_remote_code=settings.trust_remote_code,
        timeout=settings.timeout,
        retry_timeout=settings.retry_timeout,
        concurrency=settings.concurrency,
        sampling=Sampling(1, settings.temperature, settings.top_p, settings.max_tokens, settings.seed),
        api_key=api_key(environment or {}),
        listener=listener,
    )


def reward_options(
    settings: Settings, environment: Mapping[str, str] | None = None, listener: Listener | None = None
) -> ModelOptions:
    """Return what *settings* and *environment* say of the rewards; *listener* receives retries."""
    return ModelOptions(
        dtype=settings.dtype,
        device=settings.device,
        trust_remote_code=settings.trust_remote_code,
        timeout=settings.timeout,
        retry_timeout=settings.retry_timeout,
        tokenizer=settings.reward_tokenizer,
        rubric=settings.rubric,
        votes=settings.votes,
        api_key=(environment or {}).get(REWARD_KEY_VARIABLE),
        listener=listener,
    )


def own_options(spec: ModelSpec[Any], settings: Settings) -> Any:
    """Return the options that *spec*'s kind brings, validated.

    Raises:
        ConfigError: the kind has none, or a name or a value is wrong.
    """
    given = settings.kind_options.get(spec.kind, {})
    if spec.Options is None:
        if given:
            raise ConfigError(f"--kind-options: {spec.kind} has no options of its own")
        return None
    from pydantic import TypeAdapter, ValidationError

    known = getattr(spec.Options, "__dataclass_fields__", {})
    for name in given.keys() - known.keys():
        raise ConfigError(
            f"--kind-options: {spec.kind}: {name}: no such option; there are {', '.join(known)}"
        )
    try:
        return TypeAdapter(spec.Options).validate_python(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"--kind-options: {spec.kind}: {where}: {first['msg']}") from None
