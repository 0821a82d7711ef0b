"""Driver of one query: runs the method to its end, whatever that is, and makes the record."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from tpo.errors import (
    AttemptStopped,
    DataError,
    PolicyError,
    RewardError,
    TpoError,
)
from tpo.events import Event, QueryEnded, QueryStarted
from tpo.methods.attempt import Attempt
from tpo.methods.calls import Calls, worst
from tpo.methods.fallback import Fallback, NoReadableUpdate
from tpo.methods.method import Method
from tpo.methods.replay import Replay
from tpo.methods.selection import CountedJudge, JudgedSelection, Selection
from tpo.methods.stopping import Plateau, StoppingRule, TimedRule, is_journaled
from tpo.policies.base import Policy
from tpo.rewards.base import Reward
from tpo.types import Candidate, FailureKind, Query, StopReason, Timing, Trajectory, Usage

log = logging.getLogger(__name__)

METHOD_ENDED = "method_ended"
"""Stop reason of a query whose method returned before its last iteration; a larger D does not continue it."""


class Decisions(Protocol):
    """Keeps the decisions of timed rules, so that a resumed run repeats them."""

    async def keep(self, query: str, step: int, reason: str) -> None:
        """Return once it is on disk that the attempt at *query* was stopped at *step* for *reason*."""
        ...


class Setup(Protocol):
    """Values of an optimizer that a driver reads."""

    method: Method
    policy: Policy
    reward: Reward
    seed: int
    streams: bool
    stopping: tuple[StoppingRule, ...]
    fallback: Fallback | None
    selection: Selection
    decisions: Decisions | None
    now: Callable[[], float]

    def announce(self, event: Event) -> None:
        """Tell the listeners."""
        ...


class Driver:
    """Runs the method for one query: catches its end, whatever that is, and makes the record."""

    def __init__(self, optimizer: Setup, query: Query, replay: Replay) -> None:
        at = self._optimizer = optimizer
        self._query = query
        self._started = at.now()
        self._fallback: str | None = None
        self._selection_usage = Usage()
        self._calls = Calls(query, at.policy, at.reward, at.seed, at.announce, replay, streams=at.streams)
        self._attempt = Attempt(
            self._calls,
            sampling=at.method.sampling,
            critique_sampling=at.method.critique_sampling,
            stopping=_rules(at),
            elapsed=lambda: at.now() - self._started,
        )

    async def run(self) -> Trajectory:
        """Run the method and return its trajectory; raise only what every other query would meet."""
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
        attempt, allowed = self._attempt, self._optimizer.method.max_iterations
        if len(attempt.steps) < allowed:
            return METHOD_ENDED
        return "max_iterations" if attempt.steps else attempt.sampling_ended_by or "max_iterations"

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
            self._attempt.steps_before_fallback = len(self._attempt.steps)
            await at.fallback.finish(self._attempt, at.method)
            raise

    async def _keep(self, reason: str) -> None:
        """Keep the decision of a rule that is journaled, unless there is no answer: then it is retried."""
        journaled = any(rule.name == reason and is_journaled(rule) for rule in self._optimizer.stopping)
        if journaled and self._optimizer.decisions is not None and self._attempt.pool:
            await self._optimizer.decisions.keep(self._query.id, self._attempt.at, reason)

    async def _select(self, reason: StopReason) -> str:
        if not self._attempt.pool:
            raise TpoError(f"query {self._query.id!r}: no response was scored before it ended ({reason})")
        selection = self._optimizer.selection
        if not isinstance(selection, JudgedSelection):
            return await self._selected_by(selection)
        judge = CountedJudge(selection.judge)
        try:
            return await self._selected_by(selection.judged_by(judge))
        finally:
            self._selection_usage = judge.usage

    async def _selected_by(self, selection: Selection) -> str:
        chosen = selection.select(self._query, self._attempt.pool)
        found: object = await chosen if inspect.isawaitable(chosen) else chosen
        if not isinstance(found, Candidate) or found.id not in {each.id for each in self._attempt.pool}:
            raise TpoError(
                f"query {self._query.id!r}: selection {selection.name!r} must return a candidate of the pool,"
                f" not {found!r:.200}"
            )
        return found.id

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
            selection_usage=self._selection_usage,
        )


def _rules(at: Setup) -> tuple[StoppingRule, ...]:
    """Return the rules to ask; a budget or a deadline goes before the fallback, and a plateau after it."""
    if at.fallback is None:
        return at.stopping
    plateaus = tuple(rule for rule in at.stopping if isinstance(rule, Plateau))
    others = tuple(rule for rule in at.stopping if not isinstance(rule, Plateau))
    return (*others, NoReadableUpdate(), *plateaus)


def _kind(failure: BaseException) -> FailureKind:
    """Return what a query failed of."""
    if isinstance(failure, PolicyError):
        return "server"
    if isinstance(failure, RewardError):
        return "reward"
    return "data" if isinstance(failure, DataError) else "method"
