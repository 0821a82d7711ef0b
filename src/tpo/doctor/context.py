"""The longest prompt that the method may come to, against what the policy reads at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tpo.doctor.data import EXAMPLE, characters
from tpo.doctor.finding import good, unknown, warning
from tpo.doctor.patient import Notes, Patient, Subject
from tpo.methods.recipe import Recipe
from tpo.types import Candidate, Feedback, Messages, Pair, Phase, Query, Score, Trajectory, user

USUAL = 4.0
"""Characters of a token of English, where no call has shown better."""
LEAST = 64
"""Tokens of a reply below which an advice would be none."""


async def check_context(patient: Patient, notes: Notes) -> None:
    """Build the method's calls with the longest texts there may be, and count."""
    density = characters_per_token(notes.trajectory)
    longest = max(notes.longest, characters((notes.query or EXAMPLE).messages))
    need = Need.of(patient.recipe, longest, density)
    for subject in notes.subjects:
        _judge(subject, need, patient.recipe, notes)


@dataclass(frozen=True, slots=True)
class Need:
    """Tokens of the longest conversation, its reply among them: *fixed*, and *growth* a token of reply."""

    fixed: float
    growth: float

    @classmethod
    def of(cls, recipe: Recipe, query: int, density: float) -> Need:
        """For a query of *query* characters, at *density* characters a token."""
        query_alone = longest_prompt(recipe, query, 0) / density
        full = recipe.max_tokens
        whole = longest_prompt(recipe, query, math.ceil(full * density)) / density
        return cls(query_alone, (whole - query_alone) / full + 1)

    def at(self, max_tokens: int) -> int:
        """With replies of *max_tokens*."""
        return math.ceil(self.fixed + self.growth * max_tokens)

    def fitting(self, context: int) -> int:
        """The longest replies with which all fits into *context*; below 0 where nothing helps."""
        return math.floor((context - self.fixed) / self.growth)


def longest_prompt(recipe: Recipe, query_characters: int, reply_characters: int) -> int:
    """The characters of the longest prompt when every reply is of *reply_characters*."""
    text = "x" * reply_characters
    query = Query("longest", (user("x" * query_characters),))
    pair = Pair(Candidate(0, 0, text, Score(1.0)), Candidate(0, 1, text, Score(0.0)))
    prompts: list[Messages] = [recipe.sample(query)]
    if recipe.max_iterations:
        loss_call = recipe.loss(query, pair)
        loss = Feedback(loss_call, text if loss_call else "")
        gradient_call = recipe.gradient(query, pair, loss)
        gradient = Feedback(gradient_call, text if gradient_call else "")
        prompts += [loss_call, gradient_call, recipe.update(query, pair, loss, gradient)]
    return max(map(characters, prompts))


def characters_per_token(trajectory: Trajectory | None) -> float:
    """As measured on the longest prompt of *trajectory*; the usual where nothing was."""
    if trajectory is None:
        return USUAL
    calls: list[tuple[Phase, Messages]] = [("sample", trajectory.query.messages)]
    for step in trajectory.steps:
        calls += [("loss", step.loss.messages), ("gradient", step.gradient.messages), ("update", step.update)]
    measured = []
    for phase, messages in calls:
        usage = trajectory.usage.get(phase)
        if usage is not None and usage.calls and usage.prompt_tokens and messages:
            measured.append((characters(messages), usage.prompt_tokens / usage.calls))
    if not measured:
        return USUAL
    size, tokens = max(measured)
    return max(0.25, size / tokens)


def _judge(subject: Subject, need: Need, recipe: Recipe, notes: Notes) -> None:
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
