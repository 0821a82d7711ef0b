"""``--reward hf:ID-OR-PATH`` and ``--reward tiny``: a sequence classifier in this process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from tpo.model_kinds import CheckpointSpec
from tpo.registry import ModelOptions
from tpo.rewards.base import Reward
from tpo.tiny import reward_path


@dataclass(frozen=True)
class HuggingFace(CheckpointSpec[Reward]):
    """A sequence classifier with one label."""

    summary: ClassVar[str] = "a one-label sequence classifier in this process"
    gives_logits: ClassVar[bool] = True

    def build(self, options: ModelOptions) -> Reward:
        """Load the checkpoint."""
        from tpo.rewards.hf import HFReward

        return HFReward(
            self.location,
            dtype=options.dtype,
            device=options.device,
            trust_remote_code=options.trust_remote_code,
            max_batch_tokens=options.max_batch_tokens,
        )


@dataclass(frozen=True)
class Tiny(HuggingFace):
    """The embedded reward model."""

    usage: ClassVar[str] = "tiny"
    summary: ClassVar[str] = "the embedded reward model"
    gives_logits: ClassVar[bool] = False

    @property
    def location(self) -> str:
        """The embedded checkpoint's directory."""
        return str(reward_path())

    def build(self, options: ModelOptions) -> Reward:
        """Load it with batches of its own size."""
        return super().build(replace(options, max_batch_tokens=None))
