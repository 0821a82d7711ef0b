"""The loop: sample, then contrast, critique and update, D times; the answer is the best of the pool."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tpo.errors import DataError, TpoError
from tpo.events import Event, GradientWritten, Listener, LossWritten, PairChosen, QueryEnded, QueryStarted
from tpo.methods.blocking import run_blocking
from tpo.methods.calls import Calls, Harvest
from tpo.methods.contrast import contrast
from tpo.methods.recipe import Recipe
from tpo.methods.recipes import tpo
from tpo.policies.base import Policy
from tpo.policies.function import PolicyFunction, as_policy
from tpo.rewards.base import Reward
from tpo.rewards.function import RewardFunction, as_reward
from tpo.types import (
    Candidate,
    Completion,
    Feedback,
    Message,
    Pair,
    Query,
    Step,
    StopReason,
    Timing,
    Trajectory,
    user,
)

log = logging.getLogger(__name__)


class Optimizer:
    """Test-Time Preference Optimization of one query at a time (Li et al. 2025, arXiv 2501.12895, section 3).

    *policy* and *reward* may be plain functions (see :func:`tpo.policies.function.as_policy` and
    :func:`tpo.rewards.function.as_reward`). The loop keeps nothing between queries, so one optimizer serves
    any number at once. *listener* hears every event; one that fails is logged, and never breaks the loop.
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
        self.now = clock
        self._listener = listener

    async def optimize(self, query: Query | str | Sequence[Message]) -> Trajectory:
        """Follow *query* from its first samples to its best answer.

        A query that fails on the way comes back as a failed trajectory, with its reason and whatever pool it
        has by then.

        Raises:
            TpoError: only a fatal one, which every other query would meet as well.
        """
        return await _Walk(self, as_query(query)).follow()

    def run(self, query: Query | str | Sequence[Message]) -> Trajectory:
        """The same as :meth:`optimize` without await; works inside a running loop, as in a notebook."""
        return run_blocking(self.optimize(query))

    def announce(self, event: Event) -> None:
        """Tell the listener."""
        if self._listener is None:
            return
        try:
            self._listener(event)
        except Exception:  # whatever a listener does, the loop goes on
            log.exception("a listener failed on %s", type(event).__name__)


def as_query(query: Query | str | Sequence[Message]) -> Query:
    """A text or a conversation as a query of its own.

    Raises:
        DataError: the conversation is empty or does not end with a user's turn.
    """
    if isinstance(query, str):
        query = (user(query),)
    if not isinstance(query, Query):
        query = Query("q0", tuple(query))
    if not query.messages or query.messages[-1]["role"] != "user":
        raise DataError(f"query {query.id!r}: its messages must end with a user's turn")
    return query


@dataclass
class _Walk:
    """One query under way: the loop itself, and what it has so far."""

    optimizer: Optimizer
    query: Query
    first: Harvest = field(default_factory=Harvest)
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        at = self.optimizer
        self.recipe = at.recipe
        self.announce = at.announce
        self.calls = Calls(self.query, at.policy, at.reward, at.recipe, at.seed, at.announce)

    @property
    def pool(self) -> tuple[Candidate, ...]:
        return self.first.candidates + tuple(c for step in self.steps for c in step.candidates)

    async def _iterate(self) -> StopReason:
        await self.calls.draw(0, "sample", self.recipe.sample(self.query), _as_it_is, self.first)
        for number in range(1, self.recipe.max_iterations + 1):
            pair = contrast(self.pool)
            self.announce(PairChosen(self.query, number, pair))
            loss = await self.calls.ask(number, "loss", self.recipe.loss(self.query, pair))
            self.announce(LossWritten(self.query, number, loss))
            gradient = await self.calls.ask(number, "gradient", self.recipe.gradient(self.query, pair, loss))
            self.announce(GradientWritten(self.query, number, gradient))
            step = await self._update(number, pair, loss, gradient)
            if not step.candidates:
                return "no_parsable_update"
        return "max_iterations"

    async def _update(self, number: int, pair: Pair, loss: Feedback, gradient: Feedback) -> Step:
        """The step with its improved responses; those that came before a failure are kept."""
        messages = self.recipe.update(self.query, pair, loss, gradient)
        step = Step(number, pair, loss, gradient, messages)
        harvest = Harvest()
        try:
            await self.calls.draw(number, "update", messages, self.recipe.read_update, harvest)
        finally:
            step = replace(step, candidates=harvest.candidates, malformed=harvest.malformed)
            self.steps.append(step)
        return step

    async def follow(self) -> Trajectory:
        started = self.optimizer.now()
        self.announce(QueryStarted(self.query))
        reason: StopReason = "error"
        error = None
        try:
            reason = await self._iterate()
        except TpoError as failure:
            if failure.fatal:
                raise
            error = str(failure)
        except Exception as failure:  # a recipe's or a model's own bug ends this query alone
            log.exception("query %r failed unexpectedly", self.query.id)
            error = f"unexpected {type(failure).__name__}: {failure}"
        trajectory = self._trajectory(reason, error, Timing(started, self.optimizer.now()))
        self.announce(QueryEnded(trajectory))
        return trajectory

    def _trajectory(self, reason: StopReason, error: str | None, timing: Timing) -> Trajectory:
        return Trajectory(
            query=self.query,
            method=self.recipe.name,
            initial=self.first.candidates,
            steps=tuple(self.steps),
            status="finished" if error is None else "failed",
            stop_reason=reason,
            error=error,
            usage=dict(self.calls.usage),
            reward_usage=self.calls.reward_usage,
            timing=timing,
        )


def _as_it_is(completion: Completion) -> str:
    return completion.text
