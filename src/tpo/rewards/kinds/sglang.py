"""``--reward sglang:URL``: a sequence classifier behind SGLang."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tpo.rewards.kinds.vllm import VLLM

if TYPE_CHECKING:
    from tpo.rewards.vllm import VLLMReward


@dataclass(frozen=True)
class SGLang(VLLM):
    """A server that was started with ``--is-embedding``, or several of the same model."""

    usage: ClassVar[str] = "sglang:URL"
    summary: ClassVar[str] = "a sequence classifier behind SGLang"

    def reward_class(self) -> type[VLLMReward]:
        """Return the client's class."""
        from tpo.rewards.sglang import SGLangReward

        return SGLangReward
