"""Optimizer: run a method for one query and record what came of it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from tpo.errors import AttemptStopped, DataError, PolicyError, RewardError, TpoError
from tpo.events import Event, Listener, QueryEnded, QueryStarted
from tpo.methods.attempt import Attempt
from tpo.methods.calls import Calls, worst
from tpo.methods.catalog import tpo
from tpo.methods.fallback import Fallback, NoReadableUpdate
from tpo.methods.method import Method
from tpo.methods.replay import Replay
from tpo.methods.selection import HighestReward, Selection
from tpo.methods.stopping import StoppingRule, TimedRule, is_journaled
from tpo.methods.synchronous import run_blocking
from tpo.policies.base import Policy
from tpo.policies.function import PolicyFunction, as_policy
from tpo.rewards.base import Reward
from tpo.rewards.function import RewardFunction, as_reward
from tpo.types import FailureKind, Message, Query, StopReason, Timing, Trajectory, user

log = logging.getLogger(__name__)


class Decisions(Protocol):
    """Keeps the decisions of timed rules, so that a resumed run repeats them."""

    async def keep(self, query: str, step: int, reason: str) -> None:
        """Return once it is on disk that the attempt at *query* was stopped at *step* for *reason*."""
        ...


class Optimizer:
    """Optimize one query at a time with a method; by default TPO (Li et al. 2025, arXiv 2501.12895).

    *policy* and *reward* may be plain functions (see :func:`tpo.policies.function.as_policy` and
    :func:`tpo.rewards.function.as_reward`). Nothing is kept between queries, so one optimizer serves any
    number at once. *listener* receives every event; one that fails is logged, and never breaks the method.
    *stopping* rules end a query early, *fallback* takes over where the first step brings no readable update,
    *selection* chooses the answer from the pool, and *decisions* keeps what timed rules decided.
    """

    def __init__(
        self,
        policy: Policy | PolicyFunction,
        reward: Reward | RewardFunction,
        method: Method | None = None,
        *,
        seed: int = 7,
        stopping: Sequence[StoppingRule] = (),
        fallback: Fallback | None = None,
        selection: Selection | None = None,
        decisions: Decisions | None = None,
        listener: Listener | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.policy = as_policy(policy)
        self.reward = as_reward(reward)
        self.method = method if method is not None else tpo()
        self.seed = seed
        self.stopping = tuple(stopping)
        self.fallback = fallback
        self.selection = selection if selection is not None else HighestReward()
        self.decisions = decisions
        self.now = clock
        self._listener = listener

    async def optimize(
        self, query: Query | str | Sequence[Message], *, earlier: Trajectory | None = None
    ) -> Trajectory:
        """Return the trajectory of *query*, from its first samples to its answer.

        A query that fails comes back as a failed trajectory, with its reason and its pool so far. Calls that
        an *earlier* trajectory of the same query holds are not made again.

        Raises:
            TpoError: only a fatal one, which every other query would meet as well.
        """
        return await _Driver(self, _as_query(query), Replay(earlier)).run()

    def run(self, query: Query | str | Sequence[Message]) -> Trajectory:
        """The same as :meth:`optimize` without await; works inside a running loop, as in a notebook."""
        return run_blocking(self.optimize(query))

    def announce(self, event: Event) -> None:
        """Tell the listener."""
        if self._listener is None:
            return
        try:
            self._listener(event)
        except Exception:  # whatever a listener does, the method goes on
            log.exception("a listener failed on %s", type(event).__name__)


def _as_query(query: Query | str | Sequence[Message]) -> Query:
    """Return a text or a conversation as a query.

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


class _Driver:
    """Runs the method for one query: catches its end, whatever that is, and makes the record."""

    def __init__(self, optimizer: Optimizer, query: Query, replay: Replay) -> None:
        at = self._optimizer = optimizer
        self._query = query
        self._started = at.now()
        self._fallback: str | None = None
        self._calls = Calls(query, at.policy, at.reward, at.seed, at.announce, replay)
        self._attempt = Attempt(
            self._calls,
            sampling=at.method.sampling,
            critique_sampling=at.method.critique_sampling,
            stopping=at.stopping if at.fallback is None else (*at.stopping, NoReadableUpdate()),
            elapsed=lambda: at.now() - self._started,
        )

    async def run(self) -> Trajectory:
        self._optimizer.announce(QueryStarted(self._query))
        error: str | None = None
        kind: FailureKind | None = None
        selected: str | None = None
        failure: BaseException | None = None
        try:
            reason = await self._until_stopped()
            selected = await self._select(reason)
        except (Exception, BaseExceptionGroup) as raised:  # noqa: BLE001 - fatal ones are raised again
            failure = worst([raised])
            reason, error, kind = "error", self._reason(failure), _kind(failure)
        trajectory = replace(self._trajectory(reason, error, selected), failure=kind)
        if failure is not None:
            trajectory = trajectory.caused_by(failure)
        self._optimizer.announce(QueryEnded(trajectory))
        return trajectory

    async def _until_stopped(self) -> StopReason:
        try:
            await self._method_in_time()
        except (AttemptStopped, BaseExceptionGroup) as raised:
            stopped = worst([raised])
            if not isinstance(stopped, AttemptStopped):
                raise
            await self._keep(stopped.reason)
            return stopped.reason
        ended, has_steps = self._attempt.sampling_ended_by, bool(self._optimizer.method.step_calls(1))
        return "max_iterations" if ended is None or has_steps else ended

    async def _method_in_time(self) -> None:
        """Run the method; a timed rule cancels it.

        It runs in this task, so that its first call starts at once, as the scheduler counts on.
        """
        at, rung = self._optimizer, list[StopReason | Exception]()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task

        async def watch(rule: TimedRule) -> None:
            outcome: StopReason | Exception = rule.name
            try:
                await rule.expire(self._attempt)
            except Exception as failure:  # noqa: BLE001 - a rule's own failure is the query's
                outcome = failure
            if not rung:
                rung.append(outcome)
                task.cancel()

        alarms = [asyncio.create_task(watch(rule)) for rule in at.stopping if isinstance(rule, TimedRule)]
        try:
            await self._method()
        except BaseException as raised:
            requests = task.uncancel() if rung else 0
            if not rung or requests or not isinstance(raised, asyncio.CancelledError):
                raise  # cancelled from outside, or the method's own failure
            if isinstance(rung[0], Exception):
                raise rung[0] from None
            raise AttemptStopped(rung[0]) from None
        finally:
            for alarm in alarms:
                alarm.cancel()

    async def _method(self) -> None:
        """Run the method, then the fallback if it takes over."""
        at = self._optimizer
        try:
            await at.method.optimize(self._attempt)
        except AttemptStopped as stopped:
            if at.fallback is None or stopped.reason != NoReadableUpdate.name:
                raise
            self._fallback = at.fallback.name
            await at.fallback.finish(self._attempt, at.method)
            raise

    async def _keep(self, reason: str) -> None:
        """Keep the decision of a rule that is journaled, unless there is no answer: then it is retried."""
        journaled = any(rule.name == reason and is_journaled(rule) for rule in self._optimizer.stopping)
        if journaled and self._optimizer.decisions is not None and self._attempt.pool:
            await self._optimizer.decisions.keep(self._query.id, self._attempt.at, reason)

    async def _select(self, reason: StopReason) -> str:
        pool = self._attempt.pool
        if not pool:
            raise TpoError(f"query {self._query.id!r}: no response was scored before it ended ({reason})")
        chosen = self._optimizer.selection.select(self._query, pool)
        return (await chosen if inspect.isawaitable(chosen) else chosen).id

    def _reason(self, failure: BaseException) -> str:
        """Return why the query failed; raise what every query would meet."""
        if isinstance(failure, TpoError):
            if failure.fatal:
                raise failure
            return str(failure)
        if not isinstance(failure, Exception):
            raise failure
        # A method's or a model's own bug ends this query alone.
        log.error("query %r failed unexpectedly", self._query.id, exc_info=failure)
        return f"unexpected {type(failure).__name__}: {failure}"

    def _trajectory(self, reason: StopReason, error: str | None, selected: str | None) -> Trajectory:
        at, attempt = self._optimizer, self._attempt
        return Trajectory(
            query=self._query,
            method=at.method.name,
            first=attempt.first,
            steps=attempt.steps,
            status="finished" if error is None else "failed",
            stop_reason=reason,
            error=error,
            usage=dict(self._calls.usage),
            reward_usage=self._calls.reward_usage,
            timing=Timing(self._started, at.now()),
            selection=at.selection.name,
            selected=selected,
            fallback=self._fallback,
        )


def _kind(failure: BaseException) -> FailureKind:
    """Return what a query failed of."""
    if isinstance(failure, PolicyError):
        return "server"
    if isinstance(failure, RewardError):
        return "reward"
    return "data" if isinstance(failure, DataError) else "method"
