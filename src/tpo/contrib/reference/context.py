"""One call's prompt and reply within a number of tokens: what ``--max_tokens_all`` was meant to do.

The critiques, which have no limit of their own, may take what their prompt leaves. A prompt's length is what
the server's tokenizer counts, else an estimate.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from tpo.contrib.reference.tokens import TOKENS_PER_TURN, ServerTokenizer, estimated_tokens
from tpo.policies.base import Policy
from tpo.policies.wrapper import Wrapper, closing
from tpo.types import Completion, Messages, Sampling, Scope, plain_text

LEAST_REPLY = 256
"""A reply gets this much even where nothing seems left: an estimate may be wrong, and the server knows."""

CRITIQUES = ("loss", "gradient")


class ContextBound(Wrapper):
    """*policy*, its calls kept within *total* tokens each; *tokenizer* None: prompts are estimated."""

    def __init__(self, policy: Policy, total: int, tokenizer: ServerTokenizer | None = None) -> None:
        super().__init__(policy)
        self._total = total
        self._tokenizer = tokenizer

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """As the policy's own, with the reply's limit lowered, or for a critique raised, to what is left."""
        limit = sampling.max_tokens
        if scope.phase in CRITIQUES or not _surely_fits(messages, limit, self._total):
            limit = reply_limit(await self._tokens(messages), sampling, scope, self._total)
        async with closing(
            self.policy.sample(messages, replace(sampling, max_tokens=limit), scope)
        ) as completions:
            async for completion in completions:
                yield completion

    async def aclose(self) -> None:
        """Close the policy and the tokenizer."""
        await super().aclose()
        if self._tokenizer is not None:
            await self._tokenizer.aclose()

    async def _tokens(self, messages: Messages) -> int:
        counted = None if self._tokenizer is None else await self._tokenizer.count(messages)
        return estimated_tokens(messages) if counted is None else counted


def _surely_fits(messages: Messages, max_tokens: int, total: int) -> bool:
    """Return whether prompt and reply fit even if every byte is a token, which no tokenizer exceeds."""
    size = sum(len(plain_text(message).encode("utf-8", "surrogatepass")) for message in messages)
    return size + TOKENS_PER_TURN * len(messages) + max_tokens <= total


def reply_limit(prompt_tokens: int, sampling: Sampling, scope: Scope, total: int) -> int:
    """Return the most tokens of a reply to a prompt of *prompt_tokens*, where both may take *total*."""
    left = max(total - prompt_tokens, min(LEAST_REPLY, total))
    return left if scope.phase in CRITIQUES else min(left, sampling.max_tokens)
