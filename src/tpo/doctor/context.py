"""The longest prompt that the method may come to, against what the policy reads at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tpo.doctor.data import EXAMPLE, characters
from tpo.doctor.finding import good, unknown, warning
from tpo.doctor.patient import Notes, Patient, Subject
from tpo.methods.method import Method
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Query, Trajectory, user

USUAL = 4.0
"""Characters of a token of English, where no call has shown better."""
LEAST = 64
"""Tokens of a reply below which an advice would be none."""


async def check_context(patient: Patient, notes: Notes) -> None:
    """Build the method's calls with the longest texts there may be, and count."""
    density = characters_per_token(notes.trajectory)
    longest = max(notes.longest, characters((notes.query or EXAMPLE).messages))
    need = await Need.of(patient.recipe, longest, density)
    for subject in notes.subjects:
        _judge(subject, need, patient.recipe, notes)


@dataclass(frozen=True, slots=True)
class Need:
    """Tokens of the longest conversation, its reply among them: *fixed*, and *growth* a token of reply."""

    fixed: float
    growth: float

    @classmethod
    async def of(cls, recipe: Method, query: int, density: float) -> Need:
        """For a query of *query* characters, at *density* characters a token."""
        full = math.ceil(recipe.max_tokens * density)
        shortest = await longest_prompt(recipe, query, 1)
        growth = (await longest_prompt(recipe, query, 1 + full) - shortest) / full
        return cls((shortest - growth) / density, growth + 1)

    def at(self, max_tokens: int) -> int:
        """With replies of *max_tokens*."""
        return math.ceil(self.fixed + self.growth * max_tokens)

    def fitting(self, context: int) -> int:
        """The longest replies with which all fits into *context*; below 0 where nothing helps."""
        return math.floor((context - self.fixed) / self.growth)


async def longest_prompt(recipe: Method, query_characters: int, reply_characters: int) -> int:
    """Return the characters of the longest prompt when every reply is of *reply_characters*, at least 1.

    The method runs one step with replies that differ, so that it shows all the texts that it can show.
    """
    policy = ScriptedPolicy(lambda _, index: chr(ord("a") + index) * reply_characters)
    method = replace(recipe, sample_size=2, max_iterations=min(1, recipe.max_iterations))
    query = Query("longest", (user("x" * query_characters),))
    await Optimizer(policy, ScriptedReward(lambda text: ord(text[0])), method).optimize(query)
    return max(characters(call.messages) for call in policy.calls)


def characters_per_token(trajectory: Trajectory | None) -> float:
    """As measured on the longest prompt of *trajectory*; the usual where nothing was."""
    steps = [] if trajectory is None else [trajectory.first, *trajectory.steps]
    measured = [
        (characters(call.messages), call.usage.prompt_tokens / call.usage.calls)
        for step in steps
        for call in step.calls
        if call.usage.calls and call.usage.prompt_tokens
    ]
    if not measured:
        return USUAL
    size, tokens = max(measured)
    return max(0.25, size / tokens)


def _judge(subject: Subject, need: Need, recipe: Method, notes: Notes) -> None:
    longest, context = need.at(recipe.max_tokens), subject.context
    values = {"needed": longest, "context": context, "query": math.ceil(need.fixed)}
    needs = f"a conversation of this method may grow to about {longest:,} tokens"
    if context is None:
        sentence = f"{subject.name} does not tell its limit; {needs}"
        notes.tell(unknown("context", sentence, "see that its model reads as much", **values))
    elif longest <= context:
        sentence = f"{needs}; {subject.name} reads {context:,}"
        notes.tell(good("context", sentence, **values))
    else:
        fits = need.fitting(context)
        advice = "serve with --max-model-len" if subject.address else "take a model with a longer context"
        if fits >= LEAST:
            advice = f"--max-tokens {fits} always fits; or {advice}"
        sentence = f"{needs}, more than the {context:,} that {subject.name} reads: {_outcome(subject, need)}"
        notes.tell(warning("context", sentence, advice, fitting_max_tokens=max(0, fits), **values))


def _outcome(subject: Subject, need: Need) -> str:
    """What becomes of the longest calls."""
    if subject.context is not None and need.fixed >= subject.context:
        return "its longest query will fail"
    if subject.address is not None:
        return "the longest prompts and replies will be shortened, as their record says"
    return "the longest replies will be cut, or their query fails"
