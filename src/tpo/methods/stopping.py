"""Stopping rules: when an attempt ends before its last step, and when enough first samples are drawn."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev, stdev
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from tpo.errors import ConfigError
from tpo.types import Usage

if TYPE_CHECKING:  # attempts ask rules, so the import at run time goes the other way
    from tpo.methods.attempt import Attempt


class StoppingRule(Protocol):
    """A rule that works with every method."""

    @property
    def name(self) -> str:
        """The stop reason in the record."""
        ...

    def should_stop(self, attempt: Attempt) -> bool:
        """Return whether the attempt ends now, before its next step; must not block."""
        ...


@runtime_checkable
class TimedRule(StoppingRule, Protocol):
    """A stopping rule that depends on time: it also ends an attempt inside a call.

    Its decision is kept in the run's journal, so that a resumed run repeats it.
    """

    async def expire(self, attempt: Attempt) -> None:
        """Return when the attempt must end, whatever it is doing."""
        ...


@runtime_checkable
class SampleRule(StoppingRule, Protocol):
    """A rule that ends the first draw: its samples are drawn in rounds, as one continued call."""

    @property
    def round_size(self) -> int:
        """Number of samples of a round."""
        ...

    def is_enough(self, attempt: Attempt) -> bool:
        """Return whether no further first sample is to be drawn; asked after each round."""
        ...


def is_journaled(rule: StoppingRule) -> bool:
    """Return whether the decisions of *rule* are kept in the journal.

    They are if it is a ``TimedRule``, or says so by a true attribute ``journaled``.
    """
    return bool(getattr(rule, "journaled", isinstance(rule, TimedRule)))


@dataclass(frozen=True)
class TargetReward:
    """Stop when the best reward of the pool is at least *value*."""

    value: float
    name: ClassVar[str] = "target_reward"

    def __post_init__(self) -> None:
        if math.isnan(self.value):
            raise ConfigError(f"a target reward of {self.value}: it must be a number")

    def should_stop(self, attempt: Attempt) -> bool:
        """Return whether a response is good enough."""
        return any(candidate.reward >= self.value for candidate in attempt.pool)


@dataclass(frozen=True)
class Plateau:
    """Stop when *steps* steps together have not improved the best reward enough.

    An improvement is enough if it is more than *share* of the standard deviation of the pool's rewards.

    Raises:
        ConfigError: *steps* is below 1, or *share* below 0.
    """

    steps: int
    share: float = 0.1
    name: ClassVar[str] = "plateau"

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.share >= 0:
            raise ConfigError(
                f"a plateau of {self.steps} steps and share {self.share}: at least 1 step and a share of 0"
            )

    def should_stop(self, attempt: Attempt) -> bool:
        """Return whether the best reward has stopped improving."""
        if len(attempt.steps) - attempt.steps_before_fallback < self.steps:
            return False
        rewards = [candidate.reward for candidate in attempt.pool]
        since = len(attempt.steps) - self.steps
        before = [c.reward for step in (attempt.first, *attempt.steps[:since]) for c in step.scored]
        return max(rewards) - max(before) <= self.share * pstdev(rewards)


@dataclass(frozen=True)
class TokenBudget:
    """Stop before a step that would exceed *tokens*, if it took as many as the step before.

    The first step opens while any of the budget is left. *weights* are those of ``prompt`` tokens, ``cached``
    prompt tokens and ``completion`` tokens.

    Raises:
        ConfigError: *tokens* is below 1, or a weight is unknown or below 0.
    """

    WEIGHTS: ClassVar[Mapping[str, float]] = {"prompt": 1.0, "cached": 0.1, "completion": 1.0}

    tokens: int
    weights: Mapping[str, float] = field(default_factory=dict)
    name: ClassVar[str] = "token_budget"
    journaled: ClassVar[bool] = True
    """Cached tokens depend on the server's cache."""

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise ConfigError(f"a budget of {self.tokens} tokens: it must be at least 1")
        for kind, weight in self.weights.items():
            known = kind in self.WEIGHTS and isinstance(weight, int | float)
            if not known or not 0 <= weight < math.inf:
                raise ConfigError(
                    f"--token-weights: {kind}: {weight}: weights are those of {', '.join(self.WEIGHTS)},"
                    " each at least 0"
                )

    def should_stop(self, attempt: Attempt) -> bool:
        """Return whether the next step would exceed the budget."""
        spent = self.weigh(attempt.usage)
        last = attempt.steps[-1].calls if attempt.steps else ()
        next_step = self.weigh(sum((call.usage for call in last), Usage()))
        return spent >= self.tokens or spent + next_step > self.tokens

    def weigh(self, usage: Usage) -> float:
        """Return the weighted tokens of *usage*."""
        weights = {**self.WEIGHTS, **self.weights}
        fresh = usage.prompt_tokens - usage.cached_tokens
        return (
            weights["prompt"] * fresh
            + weights["cached"] * usage.cached_tokens
            + weights["completion"] * usage.completion_tokens
        )


@dataclass(frozen=True)
class SampleCost:
    """Stop drawing first samples when one more is expected to gain less than it costs.

    The Pandora's-box rule of optimal stopping for independent draws (arXiv 2510.01394): stop when the
    expected gain E[max(X - best, 0)] of the next reward X is at most *cost*. The cost is in standard
    deviations of the rewards so far, so that it needs no scale of the reward. ``expected_gain`` is the
    estimate; the paper's adds a confidence bound and learns the scale by a Bradley-Terry transformation.

    Raises:
        ConfigError: *cost* is not above 0, or *round_size* is below 2.
    """

    cost: float
    round_size: int = 4
    name: ClassVar[str] = "sample_cost"

    def __post_init__(self) -> None:
        if not self.cost > 0 or self.round_size < 2:
            raise ConfigError(f"a sample cost of {self.cost}: it must be above 0, in rounds of at least 2")

    def should_stop(self, attempt: Attempt) -> bool:
        """Return False: the rule ends a draw, not the attempt."""
        del attempt
        return False

    def is_enough(self, attempt: Attempt) -> bool:
        """Return whether one more first sample is expected to gain less than it costs."""
        return self.is_worth_no_more([candidate.reward for candidate in attempt.first.scored])

    def is_worth_no_more(self, rewards: list[float]) -> bool:
        """Return the decision after *rewards*."""
        if len(rewards) < 2:
            return False
        return expected_gain(rewards) <= self.cost * stdev(rewards)


def expected_gain(rewards: Sequence[float]) -> float:
    """Return the expected increase of the best of *rewards* by one more draw, for an exponential tail.

    Of n + 1 exchangeable draws the last is the best with probability 1 / (n + 1). By how much it exceeds the
    others is estimated by the mean excess of the ceil(sqrt(n)) best ones over the next one.
    """
    ranked = sorted(rewards, reverse=True)
    top = min(math.ceil(math.sqrt(len(ranked))), len(ranked) - 1)
    return (fmean(ranked[:top]) - ranked[top]) / (len(ranked) + 1)


@dataclass(frozen=True)
class Deadline:
    """Stop *seconds* after the query started, inside a call if need be; the best so far is the answer.

    Raises:
        ConfigError: *seconds* is not above 0.
    """

    seconds: float
    sleep: Callable[[float], Awaitable[object]] = field(default=asyncio.sleep, compare=False, repr=False)
    name: ClassVar[str] = "deadline"

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ConfigError(f"a deadline of {self.seconds} seconds: it must be above 0")

    def should_stop(self, attempt: Attempt) -> bool:
        """Return whether the time is over."""
        return attempt.elapsed >= self.seconds

    async def expire(self, attempt: Attempt) -> None:
        """Return when the time is over."""
        await self.sleep(max(0.0, self.seconds - attempt.elapsed))
