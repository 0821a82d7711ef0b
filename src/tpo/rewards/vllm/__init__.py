"""A reward model behind a vLLM pooling server."""

from tpo.rewards.vllm.reward import VLLMReward

__all__ = ["VLLMReward"]
