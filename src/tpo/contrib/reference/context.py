"""One call's prompt and reply within a number of tokens: what ``--max_tokens_all`` was meant to do.

The critiques, which have no limit of their own, may take what their prompt leaves. A prompt's length is what
the server's tokenizer counts, else an estimate.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

from tpo.http import HttpClient, HttpFailure
from tpo.http.tokens import ServerTokenizer, estimated_tokens, surely_fits
from tpo.policies.base import Policy
from tpo.policies.wrapper import Wrapper, closing
from tpo.types import Completion, Messages, Sampling, Scope

LEAST_REPLY = 256
"""A reply gets this much even where nothing seems left: an estimate may be wrong, and the server knows."""

CRITIQUES = ("loss", "gradient")


class ContextBound(Wrapper):
    """*policy*, its calls kept within *total* tokens each.

    The server of *client*, which this object closes, counts the tokens of *model*; without one, prompts are
    estimated.
    """

    def __init__(self, policy: Policy, total: int, client: HttpClient | None = None, model: str = "") -> None:
        super().__init__(policy)
        self._total = total
        self._client = client
        self._tokenizer = None if client is None else ServerTokenizer(client)
        self._model = model

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """As the policy's own, with the reply's limit lowered, or for a critique raised, to what is left."""
        limit = sampling.max_tokens
        if scope.phase in CRITIQUES or not surely_fits(messages, limit, self._total):
            limit = reply_limit(await self._tokens(messages), sampling, scope, self._total)
        async with closing(
            self.policy.sample(messages, replace(sampling, max_tokens=limit), scope)
        ) as completions:
            async for completion in completions:
                yield completion

    async def aclose(self) -> None:
        """Close the policy and the client."""
        await super().aclose()
        if self._client is not None:
            await self._client.aclose()

    async def _tokens(self, messages: Messages) -> int:
        counted = None
        if self._tokenizer is not None:
            with suppress(HttpFailure):  # the call itself is retried; the limit need not be exact
                counted = await self._tokenizer.count(self._model, messages)
        return estimated_tokens(messages) if counted is None else counted


def reply_limit(prompt_tokens: int, sampling: Sampling, scope: Scope, total: int) -> int:
    """Return the most tokens of a reply to a prompt of *prompt_tokens*, where both may take *total*."""
    left = max(total - prompt_tokens, min(LEAST_REPLY, total))
    return left if scope.phase in CRITIQUES else min(left, sampling.max_tokens)
