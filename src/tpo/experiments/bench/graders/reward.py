"""Grader by reward: the mean reward of answers, by the guiding reward or a held-out one."""

from __future__ import annotations

from collections.abc import Sequence

from tpo.errors import RewardError
from tpo.experiments.bench.graders.base import (
    Answer,
    Grade,
    GradedAnswer,
    GradingContext,
    Metric,
    async_grader,
    ungraded,
)
from tpo.experiments.bench.graders.metrics import mean_metric
from tpo.rewards.values import ask_reward
from tpo.types import Scope

FSFAIRX = "sfairXC/FsfairX-LLaMA3-RM-v0.1"
"""The reward model of the paper's numbers on these sets (Li et al. 2025, table 1)."""


async def _score(answer: Answer, context: GradingContext) -> Grade:
    """Return the score of *answer* by ``--check-reward``, or else by the guiding reward."""
    if context.held_out is None:
        if answer.reward is None:
            return ungraded("the run has no reward for it")
        return Grade(answer.reward, "scored")
    scope = Scope(answer.query.id, 0, "reward", 0, data=answer.query)
    try:
        score = await ask_reward(context.held_out, answer.query.messages, answer.text, scope)
    except RewardError as error:
        if error.fatal:
            raise
        return ungraded(str(error))
    return Grade(score.value, "scored", {"tokens": score.tokens})


grade_by_reward = async_grader(_score)


def mean_reward(graded: Sequence[GradedAnswer], context: GradingContext) -> tuple[Metric, ...]:
    """Return the mean reward over queries, with the name of the reward."""
    if context.held_out is not None:
        return (mean_metric("mean_reward", graded, by=context.held_out_name, note="held-out reward"),)
    return (mean_metric("mean_reward", graded, by=context.reward),)
