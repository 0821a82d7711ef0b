"""The loop: sample, then contrast, critique and update, D times; the answer is the best of the pool."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

from tpo.errors import PolicyError, TpoError
from tpo.events import (
    CandidateScored,
    Event,
    GradientWritten,
    Listener,
    LossWritten,
    PairChosen,
    QueryEnded,
    QueryStarted,
    Sampled,
    UpdateMalformed,
)
from tpo.method.blocking import run_blocking
from tpo.method.contrast import contrast
from tpo.method.recipe import Recipe
from tpo.method.recipes import tpo
from tpo.method.seeds import base_seed
from tpo.policies.base import Policy
from tpo.policies.function import PolicyFunction, as_policy
from tpo.rewards.base import Reward
from tpo.rewards.function import RewardFunction, as_reward
from tpo.types import (
    Candidate,
    Completion,
    Feedback,
    Malformed,
    Message,
    Messages,
    Pair,
    Phase,
    Query,
    RewardUsage,
    Scope,
    Step,
    StopReason,
    Timing,
    Trajectory,
    Usage,
    user,
)

log = logging.getLogger(__name__)


class Optimizer:
    """Test-Time Preference Optimization of one query at a time (Li et al. 2025, arXiv 2501.12895, section 3).

    *policy* and *reward* may be plain functions (see :func:`tpo.policies.function.as_policy` and
    :func:`tpo.rewards.function.as_reward`). The loop keeps nothing between queries, so one optimizer serves any
    number at once. *listener* hears every event; one that fails is logged, and never breaks the loop.
    """

    def __init__(
        self,
        policy: Policy | PolicyFunction,
        reward: Reward | RewardFunction,
        recipe: Recipe | None = None,
        *,
        seed: int = 7,
        listener: Listener | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.policy = as_policy(policy)
        self.reward = as_reward(reward)
        self.recipe = recipe if recipe is not None else tpo()
        self.seed = seed
        self._listener = listener
        self._clock = clock

    async def optimize(self, query: Query | str | Sequence[Message]) -> Trajectory:
        """Follow *query* from its first samples to its best answer.

        A query that fails on the way comes back as a failed trajectory, with its reason and whatever pool it
        has by then.

        Raises:
            TpoError: only a fatal one, which every other query would meet as well.
        """
        return await _Walk(self, as_query(query)).follow()

    def run(self, query: Query | str | Sequence[Message]) -> Trajectory:
        """The same as :meth:`optimize` for callers that do not await; works inside a running loop (a notebook)."""
        return run_blocking(self.optimize(query))

    def announce(self, event: Event) -> None:
        """Tell the listener."""
        if self._listener is None:
            return
        try:
            self._listener(event)
        except Exception:  # noqa: BLE001 - whatever a listener does, the loop goes on
            log.exception("a listener failed on %s", type(event).__name__)

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock()


def as_query(query: Query | str | Sequence[Message]) -> Query:
    """A text or a conversation as a query of its own."""
    if isinstance(query, Query):
        return query
    messages: Messages = (user(query),) if isinstance(query, str) else tuple(query)
    return Query("q0", messages)


@dataclass
class _Walk:
    """One query under way."""

    optimizer: Optimizer
    query: Query
    initial: list[Candidate] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    usage: dict[Phase, Usage] = field(default_factory=dict)
    reward_usage: RewardUsage = RewardUsage()

    @property
    def recipe(self) -> Recipe:
        return self.optimizer.recipe

    @property
    def pool(self) -> list[Candidate]:
        return self.initial + [c for step in self.steps for c in step.candidates]

    async def follow(self) -> Trajectory:
        started = self.optimizer.now()
        self.optimizer.announce(QueryStarted(self.query))
        reason: StopReason = "error"
        error = None
        try:
            reason = await self._steps()
        except TpoError as failure:
            if failure.fatal:
                raise
            error = str(failure)
        except Exception as failure:
            log.exception("query %r failed unexpectedly", self.query.id)
            error = f"unexpected {type(failure).__name__}: {failure}"
        trajectory = self._trajectory(reason, error, Timing(started, self.optimizer.now()))
        self.optimizer.announce(QueryEnded(trajectory))
        return trajectory

    def _trajectory(self, reason: StopReason, error: str | None, timing: Timing) -> Trajectory:
        return Trajectory(
            query=self.query,
            method=self.recipe.name,
            initial=tuple(self.initial),
            steps=tuple(self.steps),
            status="finished" if error is None else "failed",
            stop_reason=reason,
            error=error,
            usage=dict(self.usage),
            reward_usage=self.reward_usage,
            timing=timing,
        )

    async def _steps(self) -> StopReason:
        await self._sample()
        for number in range(1, self.recipe.max_iterations + 1):
            pair = contrast(self.pool)
            self.optimizer.announce(PairChosen(self.query, number, pair))
            loss = await self._ask(number, "loss", self.recipe.loss(self.query, pair))
            self.optimizer.announce(LossWritten(self.query, number, loss))
            gradient = await self._ask(number, "gradient", self.recipe.gradient(self.query, pair, loss))
            self.optimizer.announce(GradientWritten(self.query, number, gradient))
            step = await self._update(number, pair, loss, gradient)
            if not step.candidates:
                return "no_parsable_update"
        return "max_iterations"

    async def _sample(self) -> None:
        try:
            await self._draw(0, "sample", self.recipe.sample(self.query), self.initial, [])
        finally:
            self.initial.sort(key=lambda c: c.index)

    async def _update(self, number: int, pair: Pair, loss: Feedback, gradient: Feedback) -> Step:
        """The step's improved responses; what came before a failure is kept in the step."""
        messages = self.recipe.update(self.query, pair, loss, gradient)
        step = Step(number, pair, loss, gradient, messages)
        candidates: list[Candidate] = []
        malformed: list[Malformed] = []
        try:
            await self._draw(number, "update", messages, candidates, malformed)
        finally:
            step = replace(
                step,
                candidates=tuple(sorted(candidates, key=lambda c: c.index)),
                malformed=tuple(sorted(malformed, key=lambda m: m.index)),
            )
            self.steps.append(step)
        return step

    async def _ask(self, number: int, phase: Phase, messages: Messages) -> Feedback:
        """One critique call; none, and no text, where the recipe has no messages for it."""
        if not messages:
            return Feedback()
        async for completion in self._completions(number, phase, messages, n=1):
            return Feedback(messages, completion.text, completion.finish_reason)
        raise AssertionError("a policy call that yields nothing raises")

    async def _draw(
        self,
        number: int,
        phase: Phase,
        messages: Messages,
        candidates: list[Candidate],
        malformed: list[Malformed],
    ) -> None:
        """N samples of *messages*, each read and scored while its siblings are still being written."""
        try:
            async with asyncio.TaskGroup() as scoring:
                async for completion in self._completions(number, phase, messages, self.recipe.sample_size):
                    text = completion.text if phase == "sample" else self.recipe.read_update(completion)
                    if text is None:
                        lost = Malformed(completion.index, completion.text, completion.finish_reason)
                        malformed.append(lost)
                        self.optimizer.announce(UpdateMalformed(self.query, number, lost))
                    else:
                        scoring.create_task(self._score(number, completion, text, candidates))
        except* Exception as failures:
            failure = _first(failures)
        else:
            return
        raise failure

    async def _score(
        self, number: int, completion: Completion, text: str, candidates: list[Candidate]
    ) -> None:
        scope = Scope(self.query.id, number, "reward", completion.index)
        score = await self.optimizer.reward.score(self.query.messages, text, scope)
        self.reward_usage = RewardUsage(self.reward_usage.calls + 1, self.reward_usage.tokens + score.tokens)
        candidate = Candidate(
            number, completion.index, text, score, completion.finish_reason, completion.reasoning
        )
        candidates.append(candidate)
        self.optimizer.announce(CandidateScored(self.query, candidate))

    async def _completions(
        self, number: int, phase: Phase, messages: Messages, n: int
    ) -> AsyncIterator[Completion]:
        """The *n* completions of one policy call, counted and announced.

        Raises:
            PolicyError: the policy yielded fewer than it was asked for.
        """
        scope = Scope(self.query.id, number, phase)
        sampling = self.recipe.sampling(phase, base_seed(self.optimizer.seed, scope, n))
        count = 0
        async for completion in self.optimizer.policy.sample(messages, sampling, scope):
            count += 1
            self.usage[phase] = self.usage.get(phase, Usage()) + completion.usage
            self.optimizer.announce(Sampled(scope, completion))
            yield completion
        if count < n:
            raise PolicyError(
                f"query {self.query.id!r}, {phase} of step {number}: got {count} of {n} responses"
            )


def _first(failures: BaseExceptionGroup[Exception]) -> Exception:
    """The failure that ended a group of tasks, fatal ones first."""
    flat: list[Exception] = []
    for failure in failures.exceptions:
        flat.extend([_first(failure)] if isinstance(failure, BaseExceptionGroup) else [failure])
    return next((f for f in flat if getattr(f, "fatal", False)), flat[0])
