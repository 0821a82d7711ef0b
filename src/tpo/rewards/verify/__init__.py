"""Verifiers: checks by program, which need no model."""

from tpo.rewards.verify.reward import VerifierReward

__all__ = ["VerifierReward"]
