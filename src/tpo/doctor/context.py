"""Check of the context length: the method's longest conversation against the policy's limit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tpo.doctor.data import EXAMPLE, characters
from tpo.doctor.finding import good, unknown, warning
from tpo.doctor.setup import CheckState, ProbedPolicy, Setup
from tpo.http.tokens import ASCII_PER_TOKEN
from tpo.methods.method import Method
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Query, Trajectory, user

SHORTEST_REPLY = 64
"""Tokens: a smaller ``--max-tokens`` is not recommended."""


async def check_context(setup: Setup, state: CheckState) -> None:
    """Build the method's calls with the longest possible texts and compare their tokens with the limit."""
    density = characters_per_token(state.trajectory)
    longest = max(state.longest, characters((state.query or EXAMPLE).messages))
    needed = await TokenNeed.measure(setup.method, longest, density)
    for probed in state.policies:
        _report(probed, needed, setup.method, state)


@dataclass(frozen=True, slots=True)
class TokenNeed:
    """Tokens of the longest conversation and its reply: *fixed* plus *growth* per token of ``max_tokens``."""

    fixed: float
    growth: float

    @classmethod
    async def measure(cls, method: Method, query: int, density: float) -> TokenNeed:
        """Measure *method* with a query of *query* characters, at *density* characters per token."""
        full = math.ceil(method.max_tokens * density)
        shortest = await longest_prompt_length(method, query, 1)
        growth = (await longest_prompt_length(method, query, 1 + full) - shortest) / full
        return cls((shortest - growth) / density, growth + 1)

    def at(self, max_tokens: int) -> int:
        """Return the tokens needed when every reply has *max_tokens*."""
        return math.ceil(self.fixed + self.growth * max_tokens)

    def largest_max_tokens(self, context: int) -> int:
        """Return the largest ``max_tokens`` that fits *context*; below 0 if no value fits."""
        return math.floor((context - self.fixed) / self.growth)


async def longest_prompt_length(method: Method, query_characters: int, reply_characters: int) -> int:
    """Return the characters of the longest prompt when every reply has *reply_characters*, at least 1.

    The method runs one step with different replies, so that its prompts contain every text they can contain.
    """
    policy = ScriptedPolicy(lambda _, index: chr(ord("a") + index) * reply_characters)
    method = replace(method, sample_size=2, max_iterations=min(1, method.max_iterations))
    query = Query("longest", (user("x" * query_characters),))
    await Optimizer(policy, ScriptedReward(lambda text: ord(text[0])), method).optimize(query)
    return max(characters(call.messages) for call in policy.calls)


def characters_per_token(trajectory: Trajectory | None) -> float:
    """Return the density of the longest prompt of *trajectory*; a default if no prompt was measured."""
    steps = [] if trajectory is None else [trajectory.first, *trajectory.steps]
    measured = [
        (characters(call.messages), call.usage.prompt_tokens / call.usage.calls)
        for step in steps
        for call in step.calls
        if call.usage.calls and call.usage.prompt_tokens
    ]
    if not measured:
        return ASCII_PER_TOKEN
    size, tokens = max(measured)
    return max(0.25, size / tokens)


def _report(probed: ProbedPolicy, needed: TokenNeed, method: Method, state: CheckState) -> None:
    longest, context = needed.at(method.max_tokens), probed.context
    values = {"needed": longest, "context": context, "query": math.ceil(needed.fixed)}
    needs = f"the longest conversation of this method may need about {longest:,} tokens"
    if context is None:
        sentence = f"{probed.name} does not report its context length; {needs}"
        state.report(unknown("context", sentence, "check that its model accepts as many", **values))
    elif longest <= context:
        sentence = f"{needs}; {probed.name} accepts {context:,}"
        state.report(good("context", sentence, **values))
    else:
        fits = needed.largest_max_tokens(context)
        advice = (
            "serve with a larger --max-model-len" if probed.address else "use a model with a longer context"
        )
        if fits >= SHORTEST_REPLY:
            advice = f"--max-tokens {fits} always fits; or {advice}"
        sentence = f"{needs}, but {probed.name} accepts {context:,}: {_consequence(probed, needed)}"
        state.report(warning("context", sentence, advice, fitting_max_tokens=max(0, fits), **values))


def _consequence(probed: ProbedPolicy, needed: TokenNeed) -> str:
    """Describe the effect on the longest calls."""
    if probed.context is not None and needed.fixed >= probed.context:
        return "the longest query will fail"
    if probed.address is not None:
        return "the longest prompts and replies will be truncated, and the record says so"
    return "the longest replies will be truncated, or their queries fail"
