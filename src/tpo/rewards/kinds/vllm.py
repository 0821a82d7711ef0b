"""``--reward vllm:URL``: a sequence classifier behind vLLM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tpo.http.retry import RetryPolicy
from tpo.model_kinds import ServedSpec
from tpo.registry import REWARD_KEY_VARIABLE, ModelOptions
from tpo.rewards.base import Reward

if TYPE_CHECKING:
    from tpo.rewards.vllm import VLLMReward


@dataclass(frozen=True)
class VLLM(ServedSpec[Reward]):
    """A pooling server of vLLM, or several of the same model."""

    usage: ClassVar[str] = "vllm:URL"
    summary: ClassVar[str] = "a sequence classifier behind vLLM"
    gives_logits: ClassVar[bool] = True
    key_variable: ClassVar[str] = REWARD_KEY_VARIABLE

    def details(self, options: ModelOptions) -> dict[str, Any]:
        """Return the tokenizer if an option names it, since its template and tokens shape scores."""
        return {} if options.tokenizer is None else {"tokenizer": options.tokenizer}

    def build(self, options: ModelOptions) -> Reward:
        """Make the client."""
        return self.reward_class()(
            self.urls,
            model=self.model,
            api_key=options.api_key,
            tokenizer=options.tokenizer,
            trust_remote_code=options.trust_remote_code,
            timeout=options.timeout,
            retry=RetryPolicy(timeout=options.retry_timeout),
            listener=options.listener,
        )

    def reward_class(self) -> type[VLLMReward]:
        """Return the client's class."""
        from tpo.rewards.vllm import VLLMReward

        return VLLMReward
