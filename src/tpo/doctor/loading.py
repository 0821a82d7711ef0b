"""Policy and reward as the run would have them."""

from __future__ import annotations

from dataclasses import replace

from tpo.config import policy_spec
from tpo.doctor.finding import good, unknown
from tpo.doctor.patient import Notes, Patient, Subject


async def check_policy_loads(patient: Patient, notes: Notes) -> None:
    """Make the policy; one in this process is there to be probed from now on."""
    settings = patient.settings
    spec = policy_spec(settings.policy)
    if spec.urls and not notes.subjects:
        notes.tell(unknown("policy", "not looked at further, since no server answers"))
        return
    started = patient.now()
    policy = patient.policy(replace(settings, model=settings.model or notes.model))
    notes.policy = policy
    notes.close_later(policy)
    if spec.urls:
        return
    context = getattr(policy, "context", None)
    context = context if isinstance(context, int) else None
    notes.subjects.append(Subject(spec.name, policy, None, context))
    limit = f"; it reads up to {context:,} tokens" if context else ""
    seconds = patient.now() - started
    sentence = f"{spec.name} was loaded in {seconds:.1f} s{limit}"
    notes.tell(good("policy", sentence, seconds=seconds, context=context))


async def check_reward_loads(patient: Patient, notes: Notes) -> None:
    """Make the reward, and let it check itself if it can."""
    started = patient.now()
    reward = patient.reward()
    notes.close_later(reward)
    check = getattr(reward, "check", None)
    said = await check() if callable(check) else None
    notes.reward = reward
    seconds = patient.now() - started
    words = f": {said}" if isinstance(said, str) and said else f" ({seconds:.1f} s)"
    names = ", ".join(patient.settings.reward)
    notes.tell(good("reward", f"{names} is ready{words}", seconds=seconds))
