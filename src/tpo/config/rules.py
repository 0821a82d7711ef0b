"""From settings to stopping rules, and what may not change of them in a run."""

from __future__ import annotations

import json
from typing import Any

from tpo.config.option import flag_of
from tpo.config.settings import Settings
from tpo.config.specs import policy_identity, reward_identity
from tpo.entry_points import STOPPING, load
from tpo.errors import ConfigError
from tpo.methods.need import WhenNeeded
from tpo.methods.stopping import StoppingRule


def stopping_rules(settings: Settings) -> tuple[StoppingRule, ...]:
    """Build the stopping rules that *settings* name; each is an entry point of the group ``tpo.stopping``.

    Raises:
        ConfigError: a rule is unknown, a value is out of its range, or a file is of other models.
    """
    rules: list[StoppingRule] = [
        load(STOPPING, name, flag_of(name))(*values) for name, values in _values(settings).items()
    ]
    for name, value in settings.stop.items():
        try:
            rules.append(load(STOPPING, name, f"--stop {name}", own="MODULE:CLASS")(value))
        except TypeError as error:
            raise ConfigError(f"--stop {name}: {error}") from error
    for rule in rules:
        if isinstance(rule, WhenNeeded):
            _check_models(rule, settings)
    return tuple(rules)


def stopping_identity(settings: Settings) -> dict[str, Any]:
    """Return the values of the rules that are set, for the fingerprint; a file counts by its content."""
    values: dict[str, Any] = {}
    for name, given in _values(settings).items():
        values[name] = given[0] if len(given) == 1 else list(given)
    if settings.when_needed is not None:
        rule = load(STOPPING, "when_needed", "--when-needed")(settings.when_needed)
        values["when_needed"] = rule.model.digest
    return values | ({"stop": settings.stop} if settings.stop else {})


def _values(settings: Settings) -> dict[str, tuple[Any, ...]]:
    """Return the arguments of each built-in rule that is set, by its name."""
    values: dict[str, tuple[Any, ...]] = {
        "target_reward": (settings.target_reward,),
        "plateau": (settings.plateau, settings.plateau_share),
        "token_budget": (settings.token_budget, settings.token_weights),
        "deadline": (settings.deadline,),
        "when_needed": (settings.when_needed,),
        "sample_cost": (settings.sample_cost,),
    }
    if settings.token_weights and settings.token_budget is None:
        raise ConfigError("--token-weights are those of --token-budget, which is not set")
    return {name: given for name, given in values.items() if given[0] is not None}


def _check_models(rule: WhenNeeded, settings: Settings) -> None:
    """Refuse a file that was measured with other models."""
    for what, of_file, of_run in (
        ("policy", rule.model.policy, policy_identity(settings)),
        ("reward", rule.model.reward, reward_identity(settings)),
    ):
        if of_file != json.loads(json.dumps(of_run)):
            raise ConfigError(
                f"--when-needed {settings.when_needed}: it is of the {what} {of_file!r:.200}, and this"
                f" run's is {of_run!r:.200}; run tpo tune with these models"
            )
