"""A language model as judge."""

from tpo.rewards.judge.reward import JudgeReward

__all__ = ["JudgeReward"]
