"""Policies and rewards by the names that the command line takes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Unpack

from tpo.entry_points import POLICIES, REWARDS
from tpo.errors import ConfigError, MissingExtra, StoreError
from tpo.policies.base import Policy
from tpo.registry import REWARD_KEY_VARIABLE, ModelKeywords, ModelOptions, ModelSpec, parse
from tpo.rewards.base import Reward

API_KEY_VARIABLES = ("TPO_API_KEY", "OPENAI_API_KEY")
"""Environment variables with a policy server's key; it is read from nowhere else."""


def policy_spec(names: Sequence[str], option: str = "--policy") -> ModelSpec[Policy]:
    """Parse the policy *names*, given with *option*: one, or several servers of one model.

    Raises:
        ConfigError: one is unknown, or several are not different servers of one kind.
    """
    specs: list[ModelSpec[Policy]] = [parse(POLICIES, name, option) for name in names]
    first, *others = specs
    if not others:
        return first
    for spec in specs:
        if not spec.urls or type(spec) is not type(first):
            raise ConfigError(
                f"{option} {spec.name}: several policies must all be servers' URLs, of the same model"
            )
    if len(set(names)) < len(names):
        raise ConfigError(f"{option}: {', '.join(names)}: name each server once")
    return first.join(others)


def require_taken(spec: ModelSpec[Policy], options: ModelOptions, role: str = "policy") -> None:
    """Refuse options for servers that the kind of the policy of *role* does not take."""
    for name, value in (("model", options.model), ("extra", options.extra or None)):
        if value is not None and name not in spec.takes:
            flag = "--model" if (role, name) == ("policy", "model") else f"--{role}-{name}"
            raise ConfigError(f"{flag} is for a server's base URL; --{role} {spec.name} takes none")


def api_key(environment: Mapping[str, str]) -> str | None:
    """Return the policy server's key, from the first variable that holds one."""
    return next((environment[name] for name in API_KEY_VARIABLES if environment.get(name)), None)


def build_policy(specification: str | Sequence[str], **options: Unpack[ModelKeywords]) -> Policy:
    """Build the policy that *specification* names: ``tiny``, ``hf:ID-or-path``, a base URL or several.

    *options* are those of ``tpo.registry.ModelOptions``.

    Raises:
        ConfigError: it names none, or an option is unknown or does not go with it.
        MissingExtra, PolicyRefused: the model cannot be loaded.
    """
    values = _model_options("policy", options)
    spec = policy_spec((specification,) if isinstance(specification, str) else specification)
    require_taken(spec, values)
    return spec.build(values)


def build_reward(specification: str, **options: Unpack[ModelKeywords]) -> Reward:
    """Build the reward that *specification* names, such as ``hf:ID-or-path`` or ``vllm:URL``.

    *options* are those of ``tpo.registry.ModelOptions``.

    Raises:
        ConfigError: it names none, or an option is unknown.
        MissingExtra, RewardRefused: the model cannot be loaded.
    """
    values = _model_options("reward", options)
    spec: ModelSpec[Reward] = parse(REWARDS, specification, "--reward")
    return spec.build(values)


def load_policy(specification: str | Sequence[str], **options: Unpack[ModelKeywords]) -> Policy:
    """Build the policy that *specification* names as on the command line.

    *options* are those of ``tpo.registry.ModelOptions``. A server's key comes from ``TPO_API_KEY`` or
    ``OPENAI_API_KEY`` unless *api_key* is given.
    """
    options.setdefault("api_key", api_key(os.environ))
    _require_names("policy", specification)
    with python_names():
        return build_policy(specification, **options)


def load_reward(specification: str | Sequence[str], **options: Unpack[ModelKeywords]) -> Reward:
    """Build the reward that *specification* names as on the command line; several make an ensemble.

    *options* are those of ``tpo.registry.ModelOptions``. A server's key comes from
    ``TPO_REWARD_API_KEY`` unless *api_key* is given.
    """
    options.setdefault("api_key", os.environ.get(REWARD_KEY_VARIABLE))
    _require_names("reward", specification)
    with python_names():
        if isinstance(specification, str):
            return build_reward(specification, **options)
        from tpo.rewards.ensemble import Ensemble

        return Ensemble({name: build_reward(name, **options) for name in specification})


def _require_names(what: str, names: object) -> None:
    several = isinstance(names, list | tuple) and bool(names) and all(isinstance(each, str) for each in names)
    if not (isinstance(names, str) or several):
        raise ConfigError(f"{what} must be a name or a list of names, not {names!r:.200}")


@contextmanager
def python_names() -> Iterator[None]:
    """Have errors of the block name options as Python's keywords, and not as flags."""
    try:
        yield
    except (ConfigError, StoreError) as error:
        if not isinstance(error, MissingExtra):
            text = re.sub(r"--([a-z]+(?:-[a-z]+)*)", lambda found: found[1].replace("-", "_"), str(error))
            error.args = (text,)
        raise


def unknown_option(name: str, known: Sequence[str]) -> str:
    """Return the end of an error about the option *name*: the closest of *known*, or all of them."""
    near = get_close_matches(name, known, n=1)
    return f"no such option; {f'did you mean {near[0]}?' if near else 'there are ' + ', '.join(known)}"


def _model_options(what: str, options: Mapping[str, Any]) -> ModelOptions:
    known = tuple(ModelOptions.__dataclass_fields__)
    for name in options:
        if name not in known:
            raise ConfigError(f"{what} option {name}: {unknown_option(name, known)}")
    return ModelOptions(**options)
