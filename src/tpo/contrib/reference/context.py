"""One call's prompt and reply within a number of tokens: what ``--max_tokens_all`` was meant to do.

The critiques, which have no limit of their own, may take what their prompt leaves. A prompt's length is
estimated, since its tokenizer is the server's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from tpo.policies.base import Policy
from tpo.policies.wrapper import Wrapper, closing
from tpo.types import Completion, Messages, Sampling, Scope, plain_text

BYTES_PER_TOKEN = 3
"""Below the four and more of English text, about right for scripts that take three bytes a sign."""

TOKENS_PER_TURN = 16
"""What a chat template puts around a turn, generously."""

LEAST_REPLY = 256
"""A reply gets this much even where nothing seems left: the estimate may be wrong, and the server knows."""


class ContextBound(Wrapper):
    """*policy*, its calls kept within *total* tokens each."""

    def __init__(self, policy: Policy, total: int) -> None:
        super().__init__(policy)
        self._total = total

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """As the policy's own, with the reply's limit lowered, or for a critique raised, to what is left."""
        limit = reply_limit(messages, sampling, scope, self._total)
        async with closing(
            self.policy.sample(messages, replace(sampling, max_tokens=limit), scope)
        ) as completions:
            async for completion in completions:
                yield completion


def reply_limit(messages: Messages, sampling: Sampling, scope: Scope, total: int) -> int:
    """The most tokens of a reply to *messages*, where prompt and reply may take *total*."""
    left = max(total - estimated_tokens(messages), min(LEAST_REPLY, total))
    return left if scope.phase in ("loss", "gradient") else min(left, sampling.max_tokens)


def estimated_tokens(messages: Messages) -> int:
    """About how many tokens the text of *messages* has, rather more than less."""
    size = sum(len(plain_text(message).encode("utf-8", "surrogatepass")) for message in messages)
    return -(-size // BYTES_PER_TOKEN) + TOKENS_PER_TURN * len(messages)
