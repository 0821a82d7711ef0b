"""Calls that cells have in common are made once: a journal of finished ones stands before policy and reward.

When that is sound. A call's seed derives from the run's seed and the call's place alone (query, step, phase),
and sample *i* draws with ``base + i``, whatever its siblings (:class:`tpo.policies.base.Policy`).
So two cells of one sweep, which has one policy,

- get the same reply to the same request (messages, sampling values, seed) at the same place: first samples
  of the same N; every call of the first d iterations, between a cell of D = d and a deeper one;
- get the same first samples up to the smaller N, where the messages and all sampling values but ``n`` are
  the same. Beyond N = 1,024 base seeds depend on N; then, as whenever a request differs in anything, the call
  is the cell's own. The ``paper`` layout asks behind a system text, so it shares among its own kind only;
- get the same score of the same response, if they have the same reward.

Nothing is shared between seeds. A server that does not seed its choices so (some hosted ones) would not
repeat itself either; there the smaller pool is a part of the larger one, whose samples are as independent.
What is shared makes cells alike by chance in the same way: their differences are measured more closely, but
cells that share are not independent.

What a cell is said to cost is what it would cost alone, see :func:`first_of`.
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
from tpo.store.journaled import JournaledPolicy, JournaledReward
from tpo.types import Completion, Messages, Query, Sampling, Scope, Usage


@dataclass(frozen=True, slots=True)
class Demand:
    """What the cells of one *seed* ask first, so that the widest of them is asked for all."""

    recipes: Sequence[Method]
    queries: Mapping[str, Query]
    seed: int

    def widest(self, messages: Messages, sampling: Sampling, scope: Scope) -> Sampling:
        """*sampling*, or the one of the same samples and more that another recipe will ask for."""
        query = self.queries.get(scope.query)
        if scope.phase != "sample" or query is None:
            return sampling
        asked = (
            self._sampling(recipe, scope) for recipe in self.recipes if recipe.first_prompt(query) == messages
        )
        alike = [other for other in asked if replace(other, n=sampling.n) == sampling]
        return max([sampling, *alike], key=lambda other: other.n)

    def _sampling(self, recipe: Method, scope: Scope) -> Sampling:
        return replace(recipe.sampling, seed=base_seed(self.seed, scope, recipe.sample_size))


class SharedPolicy(Wrapper):
    """*policy*, asked only for what no cell has asked: *journal* keeps what it said."""

    def __init__(self, policy: Policy, journal: Journal, demand: Demand) -> None:
        super().__init__(policy)
        self._kept = JournaledPolicy(policy, journal)
        self._demand = demand

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield the samples; of a wider draw, once that is whole, the first of it."""
        wide = self._demand.widest(messages, sampling, scope)
        async with closing(self._kept.sample(messages, wide, scope)) as completions:
            if wide.n == sampling.n:
                async for completion in completions:
                    yield completion
                return
            drawn = [completion async for completion in completions]
        for completion in first_of(drawn, sampling.n):
            yield completion


def first_of(drawn: Sequence[Completion], n: int) -> list[Completion]:
    """The first *n* of the samples *drawn* by one call, with the usage of a call for *n*.

    The prompt is counted as for one request, or, where each sample was a request of its own, once for each.
    What a server tells as written for a whole request is shared out by the length of the texts, rounded so
    that the shares of all add up to it.
    """
    ordered = sorted(drawn, key=lambda completion: completion.index)
    written = _written(ordered)
    kept = [
        replace(each, usage=replace(each.usage, completion_tokens=tokens))
        for each, tokens in zip(ordered[:n], written, strict=False)
    ]
    request = next((each.usage for each in ordered if _bears_a_request(each)), None)
    if request is not None and kept and not any(map(_bears_a_request, kept)):
        prompt = Usage(request.calls, request.prompt_tokens, request.cached_tokens)
        kept[0] = replace(kept[0], usage=prompt + kept[0].usage)
    return kept


def _bears_a_request(completion: Completion) -> bool:
    return completion.usage.calls > 0 or completion.usage.prompt_tokens > 0


def _written(ordered: Sequence[Completion]) -> list[int]:
    """Each one's own tokens; where only a request's are known, its share of them."""
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
async def shared(
    folder: Path, name: str, policy: Policy, reward: Reward, demand: Demand
) -> AsyncIterator[tuple[Policy, Reward]]:
    """*policy* and *reward* behind the journals in *folder*; *name* tells the reward's from others'.

    Raises:
        StoreError: a journal cannot be used.
    """
    calls = _journal(folder / f"policy-seed{demand.seed}.jsonl")
    try:
        scores = _journal(folder / f"reward-{name}-seed{demand.seed}.jsonl")
        try:
            yield SharedPolicy(policy, calls, demand), JournaledReward(reward, scores)
        finally:
            await scores.close()
    finally:
        await calls.close()


def _journal(path: Path) -> Journal:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {path.parent}: {error.strerror}") from error
    return Journal(path)
