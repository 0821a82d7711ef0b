"""Checks that the policy and the reward load as they would for a run."""

from __future__ import annotations

from dataclasses import replace

from tpo.config import policy_spec
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
    check = getattr(reward, "check", None)
    result = await check() if callable(check) else None
    state.reward = reward
    seconds = setup.now() - started
    details = f": {result}" if isinstance(result, str) and result else f" ({seconds:.1f} s)"
    names = ", ".join(setup.settings.reward)
    state.report(good("reward", f"{names} is ready{details}", seconds=seconds))
