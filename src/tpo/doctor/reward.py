"""Checks of the reward: it prefers good answers to poor ones, and returns raw logits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from statistics import fmean

from tpo.config import reward_specs
from tpo.config.specs import reward_columns
from tpo.doctor.finding import failure, good, unknown, warning
from tpo.doctor.setup import CheckState, Setup
from tpo.rewards.base import Reward
from tpo.rewards.probes import PROBES
from tpo.rewards.rubric import RubricReward
from tpo.rewards.values import ask_reward
from tpo.types import Messages, Scope

CHECK = "reward order"
ORDER_CHECK = "rubric's order"
LARGE_SHIFT = 0.1
"""Mean shift of a probability from which the order of yes and no is warned of."""


async def check_reward_order(setup: Setup, state: CheckState) -> None:
    """Score the good and the poor answer of each built-in probe."""
    reward = state.reward
    if reward is None:
        return
    reading = [name for name, columns in reward_columns(setup.settings).items() if columns]
    if reading:
        sentence = (
            f"{', '.join(reading)} reads columns of the data, so it was not tried on the built-in probes"
        )
        state.report(unknown(CHECK, sentence))
        return
    rows = [(probe.messages, text) for probe in PROBES for text in (probe.good, probe.poor)]
    started = setup.now()
    scores = await asyncio.gather(*(_score(reward, *row, index) for index, row in enumerate(rows)))
    seconds = setup.now() - started
    _report_order(scores[::2], scores[1::2], seconds, state)
    if len(set(scores)) > 1 and _is_logit(setup):
        _report_scale(scores, state)
    if isinstance(reward, RubricReward):
        await _check_order(reward, state)


async def _check_order(reward: RubricReward, state: CheckState) -> None:
    """Report how far the probability of yes moves where no is listed before it."""
    scopes = (Scope("doctor", 0, "reward", index) for index in range(len(PROBES)))
    asked = [
        reward.order_shifts(each.messages, each.good, scope)
        for each, scope in zip(PROBES, scopes, strict=True)
    ]
    shifts = [abs(shift) for row in await asyncio.gather(*asked) for shift in row.values()]
    if not shifts:
        return
    mean, largest = fmean(shifts), max(shifts)
    sentence = (
        f"with yes and no swapped, probabilities move by {mean:.2f} on average and {largest:.2f} at most"
    )
    if mean < LARGE_SHIFT:
        state.report(good(ORDER_CHECK, sentence, mean=mean, largest=largest))
    else:
        advice = "the model prefers a place: take a larger one, or criteria that are easier to decide"
        state.report(warning(ORDER_CHECK, sentence, advice, mean=mean, largest=largest))


async def _score(reward: Reward, messages: Messages, response: str, index: int) -> float:
    return (await ask_reward(reward, messages, response, Scope("doctor", 0, "reward", index))).value


def _is_logit(setup: Setup) -> bool:
    first, *others = reward_specs(setup.settings.reward)
    return not others and first.gives_logits


def _report_order(
    good_ones: Sequence[float], poor: Sequence[float], seconds: float, state: CheckState
) -> None:
    better = sum(a > b for a, b in zip(good_ones, poor, strict=True))
    pairs = len(good_ones)
    values = {"better": better, "pairs": pairs, "good": [*good_ones], "poor": [*poor], "seconds": seconds}
    sentence = f"the good answer scores higher than the poor one in {better} of {pairs} pairs"
    if len({*good_ones, *poor}) == 1:
        same = f"all {2 * pairs} answers, good and poor, have the same score, {good_ones[0]:g}"
        advice = "such a reward cannot rank responses: check that the model's score head was loaded"
        state.report(failure(CHECK, same, advice, **values))
    elif better == pairs:
        margin = min(a - b for a, b in zip(good_ones, poor, strict=True))
        state.report(good(CHECK, f"{sentence}, by at least {margin:.3g}", **values))
    elif better == 0:
        advice = "larger must mean better: change the sign, or check which label the score head predicts"
        state.report(warning(CHECK, sentence, advice, **values))
    else:
        advice = "expected if your reward measures something else; a general reward model passes all pairs"
        state.report(warning(CHECK, sentence, advice, **values))


def _report_scale(scores: Sequence[float], state: CheckState) -> None:
    low, high = min(scores), max(scores)
    if low >= 0 and high <= 1:
        sentence = f"all scores are between 0 and 1 ({low:.3g} to {high:.3g}), as after a sigmoid"
        advice = "make the server or model return raw logits: after a sigmoid the best answers tie"
        state.report(warning("reward scale", sentence, advice, low=low, high=high))
    else:
        sentence = f"scores range from {low:.3g} to {high:.3g}: raw logits"
        state.report(good("reward scale", sentence, low=low, high=high))
