"""``--policy hf:ID-OR-PATH`` and ``--policy tiny``: a chat model in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tpo.model_kinds import CheckpointSpec
from tpo.policies.base import Policy
from tpo.registry import ModelOptions
from tpo.tiny import policy_path


@dataclass(frozen=True)
class HuggingFace(CheckpointSpec[Policy]):
    """Any causal chat model of transformers."""

    summary: ClassVar[str] = "a chat model in this process"

    def build(self, options: ModelOptions) -> Policy:
        """Load the checkpoint."""
        from tpo.policies.local import HFPolicy

        return HFPolicy(
            self.location,
            dtype=options.dtype,
            device=options.device,
            trust_remote_code=options.trust_remote_code,
        )


@dataclass(frozen=True)
class Tiny(HuggingFace):
    """The embedded policy."""

    usage: ClassVar[str] = "tiny"
    summary: ClassVar[str] = "the embedded model"

    @property
    def location(self) -> str:
        """The embedded checkpoint's directory."""
        return str(policy_path())

    def short_name(self, options: ModelOptions) -> str:
        """Return nothing: the default needs no name."""
        del options
        return ""
