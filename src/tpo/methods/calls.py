"""One query's calls to policy and reward: made, counted and announced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from tpo.errors import PolicyError
from tpo.events import CandidateScored, Listener, Sampled, UpdateMalformed
from tpo.methods.recipe import Recipe
from tpo.methods.seeds import base_seed
from tpo.policies.base import Policy
from tpo.policies.wrapper import closing
from tpo.rewards.base import Reward
from tpo.types import (
    Candidate,
    Completion,
    Feedback,
    Malformed,
    Messages,
    Phase,
    Query,
    RewardUsage,
    Scope,
    Usage,
)

Reader = Callable[[Completion], str | None]
"""How a completion becomes a response; None where it holds none."""


@dataclass
class Harvest:
    """What a draw has brought so far, by index; it keeps what came before a failure."""

    scored: dict[int, Candidate] = field(default_factory=dict)
    lost: dict[int, Malformed] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The scored responses, in order."""
        return tuple(self.scored[index] for index in sorted(self.scored))

    @property
    def malformed(self) -> tuple[Malformed, ...]:
        """The updates without a response, in order."""
        return tuple(self.lost[index] for index in sorted(self.lost))


@dataclass
class Calls:
    """The calls of *query*, with what they cost."""

    query: Query
    policy: Policy
    reward: Reward
    recipe: Recipe
    seed: int
    announce: Listener
    usage: dict[Phase, Usage] = field(default_factory=dict)
    reward_usage: RewardUsage = field(default_factory=RewardUsage)

    async def ask(self, step: int, phase: Phase, messages: Messages) -> Feedback:
        """One critique call; none, and no text, where the recipe has no messages for it."""
        if not messages:
            return Feedback()
        replies = [reply async for reply in self._completions(step, phase, messages)]
        first = replies[0]
        return Feedback(messages, first.text, first.finish_reason, first.served)

    async def draw(self, step: int, phase: Phase, messages: Messages, read: Reader, harvest: Harvest) -> None:
        """N samples of *messages* into *harvest*, each scored while its siblings are still being written.

        After a failure, what was written before it is scored all the same; then the failure is raised.
        """
        async with asyncio.TaskGroup() as scoring:
            try:
                async for completion in self._completions(step, phase, messages):
                    text = read(completion)
                    if text is None:
                        self._lose(step, completion, harvest)
                    else:
                        scoring.create_task(self._score(step, completion, text, harvest))
            except Exception as failure:  # noqa: BLE001 - raised below, once the scores are in
                harvest.failures.append(failure)
        if harvest.failures:
            raise next((f for f in harvest.failures if getattr(f, "fatal", False)), harvest.failures[0])

    def _lose(self, step: int, completion: Completion, harvest: Harvest) -> None:
        lost = Malformed(completion.index, completion.text, completion.finish_reason, completion.served)
        harvest.lost[lost.index] = lost
        self.announce(UpdateMalformed(self.query, step, lost))

    async def _score(self, step: int, completion: Completion, text: str, harvest: Harvest) -> None:
        index = completion.index
        scope = Scope(self.query.id, step, "reward", index)
        try:
            score = await self.reward.score(self.query.messages, text, scope)
        except Exception as failure:  # noqa: BLE001 - raised by draw, once the siblings are scored
            harvest.failures.append(failure)
            return
        self.reward_usage = RewardUsage(self.reward_usage.calls + 1, self.reward_usage.tokens + score.tokens)
        how = (completion.finish_reason, completion.reasoning, completion.served)
        candidate = Candidate(step, index, text, score, *how)
        harvest.scored[index] = candidate
        self.announce(CandidateScored(self.query, candidate))

    async def _completions(self, step: int, phase: Phase, messages: Messages) -> AsyncIterator[Completion]:
        """Every completion of one policy call.

        Raises:
            PolicyError: the policy yielded fewer than it was asked for.
        """
        scope = Scope(self.query.id, step, phase)
        n = self.recipe.samples(phase)
        sampling = self.recipe.sampling(phase, base_seed(self.seed, scope, n))
        count = 0
        async with closing(self.policy.sample(messages, sampling, scope)) as completions:
            async for completion in completions:
                count += 1
                self.usage[phase] = self.usage.get(phase, Usage()) + completion.usage
                self.announce(Sampled(scope, completion))
                yield completion
        if count < n:
            place = f"query {self.query.id!r}, {phase} of step {step}"
            raise PolicyError(f"{place}: the policy gave {count} of {n} responses")
