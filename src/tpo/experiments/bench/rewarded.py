"""Grading by a reward: the mean reward of final answers, by the reward that guided or by one that did not."""

from __future__ import annotations

from collections.abc import Sequence

from tpo.errors import RewardError
from tpo.experiments.bench.grading import Answer, Context, Grade, Graded, Metric, one_by_one, ungraded
from tpo.experiments.bench.summarize import mean_metric
from tpo.types import Scope

FSFAIRX = "sfairXC/FsfairX-LLaMA3-RM-v0.1"
"""The reward model whose mean the paper's table shows for these sets (Li et al. 2025, table 1)."""


async def reward_of(answer: Answer, context: Context) -> Grade:
    """What ``--check-reward`` gives *answer*; without one, what guided the run gave it."""
    if context.held_out is None:
        if answer.reward is None:
            return ungraded("the run gave it no reward")
        return Grade(answer.reward, "scored")
    scope = Scope(answer.query.id, 0, "reward", 0)
    try:
        score = await context.held_out.score(answer.query.messages, answer.text, scope)
    except RewardError as error:
        if error.fatal:
            raise
        return ungraded(str(error))
    return Grade(score.value, "scored", {"tokens": score.tokens})


grade_by_reward = one_by_one(reward_of)


def mean_reward(graded: Sequence[Graded], context: Context) -> tuple[Metric, ...]:
    """The mean over queries, with whose reward it is."""
    if context.held_out is not None:
        return (mean_metric("mean_reward", graded, by=context.held_out_name, note="held-out reward"),)
    return (mean_metric("mean_reward", graded, by=context.reward),)
