"""From settings to stopping rules, fallback and selection, and what may not change of them in a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tpo.config.models import make_method
from tpo.config.option import flag_of
from tpo.config.settings import Settings
from tpo.config.specs import policy_identity, reward_identity
from tpo.entry_points import SELECTION, STOPPING, load
from tpo.errors import ConfigError
from tpo.events import Listener
from tpo.http.retry import RetryPolicy
from tpo.methods.fallback import FALLBACKS, Fallback
from tpo.methods.method import Method
from tpo.methods.need import WhenNeeded
from tpo.methods.selection import NO_ENSEMBLE, LowerConfidenceBound, Selection
from tpo.methods.stopping import StoppingRule
from tpo.methods.tournament import Tournament
from tpo.registry import refuse_secrets
from tpo.rewards.base import Reward
from tpo.rewards.ensemble import Ensemble
from tpo.rewards.judge.comparison import PairJudge

JUDGE_KEY_VARIABLE = "TPO_JUDGE_API_KEY"


def stopping_rules(
    settings: Settings, method: Method | None = None, identity: Mapping[str, Any] = MappingProxyType({})
) -> tuple[StoppingRule, ...]:
    """Build the stopping rules that *settings* name; each is an entry point of the group ``tpo.stopping``.

    *method* is the one of the run; None: the one that *settings* name. *identity* has the policy and the
    reward where *settings* do not name them.

    Raises:
        ConfigError: a rule is unknown, a value is out of its range, or a file is of other models or of
            another method, N or D.
    """
    rules: list[StoppingRule] = [
        load(STOPPING, name, flag_of(name))(*values) for name, values in _values(settings).items()
    ]
    for name, value in settings.stop.items():
        try:
            rules.append(load(STOPPING, name, f"--stop {name}", own="MODULE:CLASS")(value))
        except TypeError as error:
            raise ConfigError(f"--stop {name}: the rule does not accept {value!r:.200} ({error})") from error
    for rule in rules:
        if isinstance(rule, WhenNeeded):
            _check_models(rule, settings, identity)
            _check_shape(rule, make_method(settings) if method is None else method)
    return tuple(rules)


def fallback_of(settings: Settings) -> Fallback | None:
    """Return the fallback that *settings* name."""
    return FALLBACKS.get(settings.fallback)


def selection_of(
    settings: Settings,
    reward: Reward,
    environment: Mapping[str, str] | None = None,
    listener: Listener | None = None,
) -> Selection:
    """Build the selection that *settings* name; *reward* guides the run.

    Raises:
        ConfigError: it is unknown, *reward* does not go with it, or it has no judge.
    """
    if settings.select_judge is not None and settings.select != Tournament.name:
        raise ConfigError("--select-judge is for --select tournament")
    builder = load(SELECTION, settings.select, f"--select {settings.select}", own="MODULE:CLASS")
    if builder is LowerConfidenceBound:
        members = tuple(reward.members) if isinstance(reward, Ensemble) else settings.reward
        if len(members) < 2:
            raise ConfigError(NO_ENSEMBLE)
        return LowerConfidenceBound(reward)
    if builder is Tournament:
        return Tournament(_pair_judge(settings, environment or {}, listener))
    selection: Selection = builder()
    return selection


def selection_identity(settings: Settings, recorded: str | None = None) -> dict[str, Any]:
    """Return the selection for the fingerprint; nothing for the default.

    A judge counts by its model's name if it is named, else by its address. *recorded* is the judge of the run
    that is resumed: earlier versions recorded the address with the name, which is kept for the same model.
    """
    if settings.select == "reward":
        return {}
    judge = settings.select_judge
    model = (judge or "").partition("#")[2]
    if model:
        same = recorded is not None and recorded.partition("#")[2] == model
        judge = recorded if same else f"judge:#{model}"
    return {"select": settings.select} | ({"select_judge": judge} if judge else {})


def _pair_judge(settings: Settings, environment: Mapping[str, str], listener: Listener | None) -> PairJudge:
    if settings.select_judge is None:
        raise ConfigError("--select tournament needs --select-judge URL")
    url, _, model = settings.select_judge.removeprefix("judge:").partition("#")
    refuse_secrets("--select-judge", url, JUDGE_KEY_VARIABLE)
    from tpo.rewards.judge.pairwise import PairwiseJudge

    return PairwiseJudge(
        url,
        model=model or None,
        api_key=environment.get(JUDGE_KEY_VARIABLE),
        key_variable=JUDGE_KEY_VARIABLE,
        timeout=settings.timeout,
        retry=RetryPolicy(timeout=settings.retry_timeout),
        listener=listener,
    )


def stopping_identity(settings: Settings) -> dict[str, Any]:
    """Return the rules and the fallback that are set, for the fingerprint; a file counts by its content."""
    values: dict[str, Any] = {}
    for name, given in _values(settings).items():
        values[name] = given[0] if len(given) == 1 else list(given)
    if settings.when_needed is not None:
        rule = load(STOPPING, "when_needed", "--when-needed")(settings.when_needed)
        values["when_needed"] = rule.model.digest
    values |= {"stop": settings.stop} if settings.stop else {}
    return values | ({"fallback": settings.fallback} if settings.fallback != "none" else {})


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


def _check_models(rule: WhenNeeded, settings: Settings, identity: Mapping[str, Any]) -> None:
    """Refuse a file that was measured with other models than those of *settings*, or of *identity*."""
    for what, of_file, identity_of in (
        ("policy", rule.model.policy, policy_identity),
        ("reward", rule.model.reward, reward_identity),
    ):
        of_run = identity[what] if what in identity else identity_of(settings)
        if of_file != json.loads(json.dumps(of_run)):
            raise ConfigError(
                f"--when-needed {settings.when_needed}: it is of the {what} {of_file!r:.200}, and this"
                f" run's is {of_run!r:.200}; run tpo tune with these models"
            )


def _check_shape(rule: WhenNeeded, method: Method) -> None:
    """Refuse a file that was measured with another method, N or D; it may leave out the method or D."""
    name, _, shape = rule.model.method.partition(" ")
    own = f"D{method.max_iterations}-N{method.sample_size}"
    same = name in ("", method.name) and shape in ("", own)
    if not same or rule.model.sample_size != method.sample_size:
        recorded = rule.model.method or "a method"
        raise ConfigError(
            f"--when-needed: its file is of {recorded} with N = {rule.model.sample_size}, and this run is"
            f" {method.name} {own}; use that shape, or run tpo tune with this one"
        )
