"""Judges that say what they were told to, and answers to judge."""

from __future__ import annotations

from collections.abc import Callable

from tpo.experiments.bench.graders.base import Answer
from tpo.experiments.bench.graders.judge import Judge
from tpo.policies.scripted import PolicyCall, Reply, ScriptedPolicy
from tpo.types import Query, plain_text, user


def judge(reply: Reply) -> tuple[Judge, ScriptedPolicy]:
    """A judge called ``scripted``, and the policy that records what it was asked."""
    policy = ScriptedPolicy(reply)
    return Judge("scripted", policy), policy


def by_request(verdict: Callable[[str], str]) -> Reply:
    """A reply that depends on the request's last turn alone."""
    return lambda call, _: verdict(asked(call))


def asked(call: PolicyCall) -> str:
    return plain_text(call.messages[-1])


def answer(uid: str, text: str = "mine", baseline: str | None = "theirs", seed: int = 7) -> Answer:
    query = Query(uid, (user(f"prompt {uid}"),), metadata={"category": "arena-hard-v0.1"})
    return Answer(
        query, text, seed=seed, baseline=baseline, generator=f"small/model, tpo D2-N5, after, seed {seed}"
    )
