"""Shared calls: calls that several cells have in common are made once, through a shared journal.

Conditions. The seed of a call depends only on the run's seed and the call's place (query, step, phase), and
sample *i* uses ``base + i`` (:class:`tpo.policies.base.Policy`). A sweep has one policy. Therefore two cells

- get the same reply to the same request (messages, sampling values, seed) at the same place: first samples
  with the same N, and every call of the first d iterations for cells with D = d and a larger D;
- get the same first samples up to the smaller N if messages and all sampling values except ``n`` are the
same.
  Beyond N = 1,024 base seeds depend on N; then, as for any other difference in the request, the call is not
  shared. The ``paper`` layout has a system text, so it shares only with its own kind;
- get the same score for the same response if they have the same reward.

Nothing is shared between seeds. A server that does not use seeds in this way (some hosted ones) would not
reproduce samples either; there the smaller pool is a part of the larger one, and its samples are independent.
Cells that share calls are not statistically independent: their differences have less variance.

The reported cost of a cell is its cost without sharing, see :func:`first_samples`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tpo.errors import StoreError
from tpo.methods.method import Method
from tpo.methods.seeds import base_seed
from tpo.policies.base import Policy
from tpo.policies.wrapper import Wrapper, closing
from tpo.rewards.base import Reward
from tpo.store.journal import Journal
from tpo.store.journaled_models import JournaledPolicy, JournaledReward
from tpo.types import Completion, Messages, Query, Sampling, Scope, Usage


@dataclass(frozen=True, slots=True)
class SharedSampling:
    """First calls of all cells with one *seed*, used to draw the largest N once for all of them."""

    methods: Sequence[Method]
    queries: Mapping[str, Query]
    seed: int

    def largest_draw(self, messages: Messages, sampling: Sampling, scope: Scope) -> Sampling:
        """Return *sampling*, or the sampling of another method that draws the same samples and more."""
        query = self.queries.get(scope.query)
        if scope.step > 0 or scope.phase != "sample" or query is None:
            return sampling
        samplings = (
            self._sampling(method, scope) for method in self.methods if method.first_prompt(query) == messages
        )
        equal = [other for other in samplings if replace(other, n=sampling.n) == sampling]
        return max([sampling, *equal], key=lambda other: other.n)

    def _sampling(self, method: Method, scope: Scope) -> Sampling:
        return replace(method.sampling, seed=base_seed(self.seed, scope, method.sample_size))


class _SharedPolicy(Wrapper):
    """Policy wrapper that answers calls of earlier cells from *journal*."""

    def __init__(self, policy: Policy, journal: Journal, shared: SharedSampling) -> None:
        super().__init__(policy)
        self._journaled = JournaledPolicy(policy, journal)
        self._shared = shared

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield the samples; the first ones of a larger draw after that draw is complete."""
        largest = self._shared.largest_draw(messages, sampling, scope)
        async with closing(self._journaled.sample(messages, largest, scope)) as completions:
            if largest.n == sampling.n:
                async for completion in completions:
                    yield completion
                return
            drawn = [completion async for completion in completions]
        for completion in first_samples(drawn, sampling.n):
            yield completion


def first_samples(drawn: Sequence[Completion], n: int) -> list[Completion]:
    """Return the first *n* of the samples *drawn* by one call, with the usage of a call for *n*.

    The prompt is counted once per request: once, or once per sample if each sample was a separate request.
    Completion tokens that a server reports only for the whole request are divided in proportion to text
    length, rounded so that they add up to the total.
    """
    ordered = sorted(drawn, key=lambda completion: completion.index)
    written = _completion_tokens(ordered)
    kept = [
        replace(each, usage=replace(each.usage, completion_tokens=tokens))
        for each, tokens in zip(ordered[:n], written, strict=False)
    ]
    request = next((each.usage for each in ordered if _has_request_usage(each)), None)
    if request is not None and kept and not any(map(_has_request_usage, kept)):
        prompt = Usage(request.calls, request.prompt_tokens, request.cached_tokens)
        kept[0] = replace(kept[0], usage=prompt + kept[0].usage)
    return kept


def _has_request_usage(completion: Completion) -> bool:
    return completion.usage.calls > 0 or completion.usage.prompt_tokens > 0


def _completion_tokens(ordered: Sequence[Completion]) -> list[int]:
    """Return the completion tokens of each sample, or its share of the request's tokens."""
    own = [completion.usage.completion_tokens for completion in ordered]
    lengths = [len(completion.text) + len(completion.reasoning or "") for completion in ordered]
    if all(tokens or not length for tokens, length in zip(own, lengths, strict=True)):
        return own
    total, whole = sum(own), sum(lengths)
    shares = [total * length // whole for length in lengths]
    by_remainder = sorted(range(len(own)), key=lambda i: (-(total * lengths[i] % whole), i))
    for place in by_remainder[: total - sum(shares)]:
        shares[place] += 1
    return shares


@asynccontextmanager
async def shared_models(
    folder: Path, reward_key: str, policy: Policy, reward: Reward, shared: SharedSampling
) -> AsyncIterator[tuple[Policy, Reward]]:
    """Yield *policy* and *reward* behind the journals in *folder*; *reward_key* names the reward's journal.

    Raises:
        StoreError: a journal cannot be used.
    """
    calls = _journal(folder / f"policy-seed{shared.seed}.jsonl")
    try:
        scores = _journal(folder / f"reward-{reward_key}-seed{shared.seed}.jsonl")
        try:
            yield _SharedPolicy(policy, calls, shared), JournaledReward(reward, scores)
        finally:
            await scores.close()
    finally:
        await calls.close()


def _journal(path: Path) -> Journal:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot create {path.parent}: {error.strerror}") from error
    return Journal(path)
