"""Whether the reward prefers sense to nonsense, and gives its scores as the model made them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tpo.config import reward_specs
from tpo.doctor.finding import failure, good, warning
from tpo.doctor.patient import Notes, Patient
from tpo.rewards.base import Reward
from tpo.rewards.probes import PROBES
from tpo.types import Messages, Scope

CHECK = "reward's sense"


async def check_reward_sense(patient: Patient, notes: Notes) -> None:
    """Score a good and a poor answer of each shipped probe."""
    reward = notes.reward
    if reward is None:
        return
    rows = [(probe.messages, text) for probe in PROBES for text in (probe.good, probe.poor)]
    started = patient.now()
    scores = await asyncio.gather(*(_score(reward, *row, index) for index, row in enumerate(rows)))
    seconds = patient.now() - started
    _tell_of_sense(scores[::2], scores[1::2], seconds, notes)
    if len(set(scores)) > 1 and _is_logit(patient):
        _tell_of_scale(scores, notes)


async def _score(reward: Reward, messages: Messages, response: str, index: int) -> float:
    return (await reward.score(messages, response, Scope("doctor", 0, "reward", index))).value


def _is_logit(patient: Patient) -> bool:
    first, *others = reward_specs(patient.settings.reward)
    return not others and first.gives_logits


def _tell_of_sense(good_ones: Sequence[float], poor: Sequence[float], seconds: float, notes: Notes) -> None:
    better = sum(a > b for a, b in zip(good_ones, poor, strict=True))
    of = len(good_ones)
    values = {"better": better, "pairs": of, "good": [*good_ones], "poor": [*poor], "seconds": seconds}
    sentence = f"the good answer beats the poor one in {better} of {of} pairs"
    if len({*good_ones, *poor}) == 1:
        same = f"all {2 * of} answers, good and poor, get the same score, {good_ones[0]:g}"
        advice = "with such a reward nothing can be chosen: see that the model's head was loaded"
        notes.tell(failure(CHECK, same, advice, **values))
    elif better == of:
        least = min(a - b for a, b in zip(good_ones, poor, strict=True))
        notes.tell(good(CHECK, f"{sentence}, by {least:.3g} at least", **values))
    elif better == 0:
        advice = "larger must be better: turn the sign, or see which label the model's head is for"
        notes.tell(warning(CHECK, sentence, advice, **values))
    else:
        advice = "fine if your reward looks for something else; of a general model expect all"
        notes.tell(warning(CHECK, sentence, advice, **values))


def _tell_of_scale(scores: Sequence[float], notes: Notes) -> None:
    low, high = min(scores), max(scores)
    if low >= 0 and high <= 1:
        sentence = f"all scores lie between 0 and 1 ({low:.3g} to {high:.3g}), as a sigmoid's do"
        advice = "make the server or model give raw logits: squashed, the best answers tie"
        notes.tell(warning("reward's scale", sentence, advice, low=low, high=high))
    else:
        sentence = f"scores go from {low:.3g} to {high:.3g}: raw, not squashed"
        notes.tell(good("reward's scale", sentence, low=low, high=high))
