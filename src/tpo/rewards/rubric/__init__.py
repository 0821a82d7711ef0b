"""A rubric: criteria with weights, each answered with a probability."""

from tpo.rewards.rubric.reward import RubricReward

__all__ = ["RubricReward"]
