"""Checks that the policy, the reward and the other parts of a run load as they would for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tpo.config import check_of, policy_spec, selection_of, stopping_rules
from tpo.config.specs import check_identity
from tpo.doctor.finding import good, unknown
from tpo.doctor.setup import CheckState, ProbedPolicy, Setup


async def check_policy_loads(setup: Setup, state: CheckState) -> None:
    """Load the policy; later checks probe a policy in this process."""
    settings = setup.settings
    spec = policy_spec(settings.policy)
    if spec.urls and not state.policies:
        state.report(unknown("policy", "not checked further: no server answers"))
        return
    started = setup.now()
    policy = setup.policy(replace(settings, model=settings.model or state.model))
    state.policy = policy
    state.close_later(policy)
    if spec.urls:
        return
    context = getattr(policy, "context", None)
    context = context if isinstance(context, int) else None
    state.policies.append(ProbedPolicy(spec.name, policy, None, context))
    limit = f"; it accepts up to {context:,} tokens" if context else ""
    seconds = setup.now() - started
    sentence = f"{spec.name} was loaded in {seconds:.1f} s{limit}"
    state.report(good("policy", sentence, seconds=seconds, context=context))


async def check_reward_loads(setup: Setup, state: CheckState) -> None:
    """Load the reward and run its own check if it has one."""
    started = setup.now()
    reward = setup.reward()
    state.close_later(reward)
    result = await _own_check(reward)
    state.reward = reward
    seconds = setup.now() - started
    details = f": {result}" if isinstance(result, str) and result else f" ({seconds:.1f} s)"
    names = ", ".join(setup.settings.reward)
    state.report(good("reward", f"{names} is ready{details}", seconds=seconds))


async def check_rules_load(setup: Setup, state: CheckState) -> None:
    """Build stopping rules, selection and check reward, and ask the models behind them."""
    settings = replace(setup.settings, model=setup.settings.model or state.model)
    check_identity(settings)
    found = [f"the stopping rule {rule.name}" for rule in stopping_rules(settings, setup.method)]
    if state.reward is not None and settings.select != "reward":
        judge = getattr(selection_of(settings, state.reward, setup.environment), "judge", None)
        state.close_later(judge)
        await _own_check(judge)
        found.append(f"--select {settings.select}")
    check = check_of(settings, setup.environment)
    if check is not None:
        state.close_later(check)
        await _own_check(check)
        found.append(f"the check reward {settings.check_reward}")
    if found:
        state.report(good("rules", f"ready: {', '.join(found)}"))


async def _own_check(model: Any) -> object:
    """Return what *model* tells of itself, if it has a check."""
    check = getattr(model, "check", None)
    return await check() if callable(check) else None
