"""How each policy draws: several samples of a call, seeds, and why a sample ended."""

from __future__ import annotations

from tpo.doctor.data import EXAMPLE
from tpo.doctor.finding import good, warning
from tpo.doctor.patient import Notes, Patient, Subject
from tpo.errors import PolicyError
from tpo.policies.wrapper import closing
from tpo.types import Completion, Messages, Sampling, Scope

QUESTION = EXAMPLE.messages
WRITTEN = 48
"""Tokens of a probe: enough for two draws to differ."""
CUT = 4
SEED = 4096


async def draw(policy: Subject, messages: Messages, sampling: Sampling) -> list[Completion]:
    """All samples of one call, in order.

    Raises:
        PolicyError: it failed, or brought fewer than asked.
    """
    scope = Scope("doctor", 0, "sample")
    async with closing(policy.policy.sample(messages, sampling, scope)) as completions:
        found = {completion.index: completion async for completion in completions}
    if sorted(found) != list(range(sampling.n)):
        raise PolicyError(f"{policy.name} gave {len(found)} of {sampling.n} samples")
    return [found[index] for index in sorted(found)]


async def check_samples(patient: Patient, notes: Notes) -> None:
    """Two samples of one call, the same again, and each by itself."""
    for subject in notes.subjects:
        await _check_samples(subject, patient, notes)


async def _check_samples(subject: Subject, patient: Patient, notes: Notes) -> None:
    recipe = patient.recipe
    written = min(WRITTEN, recipe.max_tokens)
    sampling = Sampling(2, recipe.temperature, recipe.top_p, written, SEED)
    both = await draw(subject, QUESTION, sampling)
    again = await draw(subject, QUESTION, sampling)
    apart = [(await draw(subject, QUESTION, sampling.only(index)))[0] for index in (0, 1)]
    _tell_of_n(subject, sum(c.usage.calls for c in both), recipe.temperature, notes)
    _tell_of_seed(subject, _texts(both), _texts(again), _texts(apart), notes)


def _texts(completions: list[Completion]) -> list[str]:
    return [completion.text for completion in completions]


def _tell_of_n(subject: Subject, calls: int, temperature: float, notes: Notes) -> None:
    if calls <= 1:
        sentence = f"{subject.name} gives several samples of one request (n)"
        notes.tell(good("n", sentence, calls=calls))
    elif temperature == 0:
        notes.tell(good("n", "at temperature 0 each sample is a request of its own", calls=calls))
    else:
        notes.tell(
            warning(
                "n",
                f"{subject.name} gives one sample a request: each of them is asked for by itself",
                "it works, with more requests; vLLM and SGLang take n, and read the prompt once",
                calls=calls,
            )
        )


def _tell_of_seed(
    subject: Subject, both: list[str], again: list[str], apart: list[str], notes: Notes
) -> None:
    values = {"repeats": both == again, "adds_the_index": both == apart}
    if both != again:
        sentence = f"{subject.name} gave other texts for the same seed"
        advice = "a run resumes all the same, but one from the start cannot be repeated to the letter"
        notes.tell(warning("seed", sentence, advice, **values))
    elif both != apart:
        sentence = f"{subject.name} does not draw sample i of a request with the seed plus i"
        advice = "a resumed run may draw the samples it lost anew; everything else holds"
        notes.tell(warning("seed", sentence, advice, **values))
    else:
        sentence = f"{subject.name} repeats a seed, and draws two samples as two requests would"
        notes.tell(good("seed", sentence, **values))


async def check_ends(patient: Patient, notes: Notes) -> None:
    """An answer that is cut must say so, since it would be taken for a whole one."""
    recipe = patient.recipe
    for subject in notes.subjects:
        sampling = Sampling(1, recipe.temperature, recipe.top_p, CUT, SEED)
        reason = (await draw(subject, QUESTION, sampling))[0].finish_reason
        if reason == "length":
            sentence = f"{subject.name} says when an answer was cut"
            notes.tell(good("finish reasons", sentence, cut=reason))
            continue
        notes.tell(
            warning(
                "finish reasons",
                f"{subject.name} ended an answer after {CUT} tokens with {reason!r}, not as cut",
                "see that --max-tokens is large enough: a cut answer cannot be told from a whole one",
                cut=reason,
            )
        )
