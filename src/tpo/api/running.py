"""Run a data set from Python: what ``tpo run`` does."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from tpo.api.results import Run
from tpo.config import (
    Settings,
    check_of,
    data_options,
    load_settings,
    policy_of,
    reward_columns,
    reward_of,
    weights_of,
)
from tpo.config.settings import OPTIONS, TINY
from tpo.errors import ConfigError
from tpo.events import Listener
from tpo.methods.arguments import require_listener
from tpo.methods.method import Method
from tpo.methods.named_models import python_names
from tpo.policies.base import Policy
from tpo.policies.function import PolicyFunction, as_policy
from tpo.rewards.base import Reward
from tpo.rewards.function import RewardFunction, as_reward
from tpo.runs.identity import identity_of
from tpo.runs.inputs import Data, as_input
from tpo.runs.models import Models, Relay
from tpo.runs.plan import RunPlan
from tpo.synchronous import run_blocking
from tpo.tiny import examples_path

log = logging.getLogger(__name__)

SERVER_OPTIONS = ("model", "policy_extra", "chat_template_kwargs")
STAND_INS: Mapping[str, Mapping[str, Any]] = {
    "policy": {"policy": "http://127.0.0.1", "model": "none"},
    "reward": {"reward": TINY},
}
"""Names in settings for models that are functions or objects: their options are those of a real model."""
SHAPE = ("sample_size", "max_iterations", "temperature", "top_p", "max_tokens", "critique_temperature")
"""Options that a method given as a value has itself."""


def run(
    data: Data | None = None,
    *,
    policy: str | Sequence[str] | Policy | PolicyFunction | None = None,
    reward: str | Sequence[str] | Reward | RewardFunction | None = None,
    method: str | Method | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
    config: str | Path | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> Run:
    """Optimize every query of *data* and persist the results, as ``tpo run`` does; calling again resumes.

    Works inside a running event loop too, as in a notebook; asynchronous code awaits ``arun``.

    Args:
        data: a path, ``hf:NAME``, several paths (a list of ``Path``), or queries in memory (prompts, rows as
            in a JSON file, ``Query`` values); None: the shipped examples.
        policy: a name as on the command line, a function ``f(messages, sampling) -> text``, or an object.
        reward: a name or several (an ensemble), a function ``f(messages, response) -> number``, or an object.
        method: a name or a ``Method``.
        out: the run directory; None: in ``runs/``, named after the options.
        fresh: delete an existing run first.
        config: a TOML file of options.
        listener: receives every event (``tpo.events``).
        options: every other option of ``tpo run`` by its name: ``sample_size=8``, ``seed=1``, ...

    An option that is not given comes from the environment, then from *config*, then from its default.
    Functions and objects are part of the run's fingerprint by qualified name and source; give an object whose
    state matters an attribute ``identity`` (a text). They stay open; models loaded by name are closed.

    Returns:
        The run, with failed queries among its results.

    Raises:
        TpoError: an option, a model, the data or the directory is wrong; what is finished is kept.
    """
    require_listener(listener)
    with python_names():
        plan = run_blocking(_plan(data, policy, reward, method, out, fresh, config, options))
        models = plan.load_models()
        return Run(plan.path, run_blocking(plan.run(models, listener)))


async def arun(
    data: Data | None = None,
    *,
    policy: str | Sequence[str] | Policy | PolicyFunction | None = None,
    reward: str | Sequence[str] | Reward | RewardFunction | None = None,
    method: str | Method | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
    config: str | Path | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> Run:
    """Do the same as ``run`` in the running event loop; models load in a thread."""
    require_listener(listener)
    with python_names():
        plan = await _plan(data, policy, reward, method, out, fresh, config, options)
        models = await asyncio.to_thread(plan.load_models)
        return Run(plan.path, await plan.run(models, listener))


async def _plan(
    data: Data | None,
    policy: Any,
    reward: Any,
    method: str | Method | None,
    out: str | Path | None,
    fresh: bool,
    config: str | Path | None,
    options: dict[str, Any],
) -> RunPlan:
    """Return the plan of the run that the arguments of ``run`` describe."""
    brought = {part: it for part, it in (("policy", policy), ("reward", reward)) if not _is_named(it)}
    own_method = None if method is None or isinstance(method, str) else method
    if own_method is not None and not isinstance(own_method, Method):
        raise ConfigError(f"tpo.run: method must be a name or a tpo.Method, not {own_method!r:.200}")
    _require_fitting(options, brought, own_method, reward)
    flags = {
        "policy": policy,
        "reward": reward,
        "method": None if own_method else method,
        "out": out,
    } | options
    flags |= {key: value for part in brought for key, value in STAND_INS[part].items()}
    settings = load_settings(flags, os.environ, None if config is None else Path(config))
    if own_method is not None:
        own = {"method": own_method.name} | {name: getattr(own_method, name) for name in SHAPE}
        settings = replace(settings, **own)
    identity = {part: identity_of(it) for part, it in brought.items()}
    recorded: dict[str, Any] = {part: [name] for part, name in identity.items()}
    plan = await RunPlan.resolve(
        settings,
        as_input(examples_path() if data is None else data, data_options(settings)),
        method=own_method,
        fresh=fresh,
        load=partial(_load, settings, brought) if brought else None,
        identity=identity,
        weights=_weights(settings, brought) if brought else None,
        columns=_columns(settings, brought["reward"]) if "reward" in brought else None,
        configuration=recorded | ({"model": None} if "policy" in brought else {}),
    )
    for notice in plan.notices:
        log.warning(notice)
    return plan


def _is_named(model: Any) -> bool:
    """Return whether *model* is a name or several, and not a function or an object."""
    return model is None or isinstance(model, str | list | tuple)


def _require_fitting(
    options: Mapping[str, Any], brought: Mapping[str, Any], own_method: Method | None, reward: Any
) -> None:
    """Refuse unknown options and those that do not go with what is given as a value.

    Raises:
        ConfigError: naming the option.
    """
    for name in options:
        if name not in OPTIONS:
            near = get_close_matches(name, OPTIONS, n=1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(OPTIONS)}"
            raise ConfigError(f"tpo.run: {name}: no such option; {advice}")
        if name in SERVER_OPTIONS and "policy" in brought:
            raise ConfigError(f"tpo.run: {name} is for a server's base URL; the policy is an object")
        if name in SHAPE and own_method is not None:
            raise ConfigError(f"tpo.run: {name}: the method is a value; set its own {name}")
    if "policy" in brought and reward is None:
        raise ConfigError("tpo.run: the policy is an object: give a reward too")


def _load(settings: Settings, brought: Mapping[str, Any], events: Relay) -> Models:
    """Return the models that are *brought*; load the others by name."""
    reward = as_reward(brought["reward"]) if "reward" in brought else reward_of(settings, os.environ, events)
    policy = as_policy(brought["policy"]) if "policy" in brought else policy_of(settings, os.environ, events)
    own = {"policy": policy, "reward": reward}
    check = check_of(settings, os.environ, events)
    return Models(policy, reward, events, borrowed=tuple(own[part] for part in brought), check=check)


def _columns(settings: Settings, reward: Any) -> dict[str, Mapping[str, bool]]:
    """Return the columns that a *reward* object reads, as far as it tells, and those of a check reward."""
    known = reward_columns(settings) | {type(reward).__name__: getattr(reward, "columns", {})}
    return {name: columns for name, columns in known.items() if isinstance(columns, Mapping)}


def _weights(settings: Settings, brought: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the digests of the weights of the models that have names."""
    return {
        key: digest for key, digest in weights_of(settings).items() if key.partition(" ")[0] not in brought
    }
