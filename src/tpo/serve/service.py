"""Service: runs the method for one request at a time of many, under the operator's limits."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from tpo.config import Settings, fallback_of, make_method, selection_of, stopping_rules
from tpo.errors import AttemptStopped, ConfigError, TpoError
from tpo.events import Listener
from tpo.methods.method import Method
from tpo.methods.optimize import Optimizer
from tpo.methods.stopping import StoppingRule
from tpo.policies.base import Policy
from tpo.policies.wrapper import closing
from tpo.rewards.base import Reward
from tpo.serve.api_error import ApiError, invalid, model_failure
from tpo.serve.keeper import Keeper
from tpo.serve.metrics import Metrics
from tpo.serve.request import OFF, Limits, ServedRequest
from tpo.serve.request_policy import RequestPolicy
from tpo.serve.tracing import TracedPolicy, TracedReward, request_span
from tpo.types import (
    Candidate,
    Completion,
    Messages,
    Phase,
    Query,
    Sampling,
    Scope,
    Score,
    ToolCallCompletion,
    Trajectory,
    Usage,
    user,
)

log = logging.getLogger(__name__)

READY_SECONDS = 5.0
"""Timeout of a readiness check, and how long its result holds."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The reply to a request, in no API's form yet.

    Attributes:
        id: the trajectory's id.
        answers: the choices, best first.
        usage: policy usage by phase.
        stop_reason: why the attempt ended.
        trajectory: the whole record; None of a request that was passed on.
        degraded: whether a model failed and this is the best that could be had.
    """

    id: str
    answers: tuple[Candidate | Completion, ...]
    usage: Mapping[Phase, Usage]
    stop_reason: str
    trajectory: Trajectory | None = None
    degraded: bool = False

    @property
    def total(self) -> Usage:
        """The whole usage."""
        return sum(self.usage.values(), Usage())

    @property
    def tool_calls(self) -> tuple[Mapping[str, Any], ...]:
        """The tool calls of the reply, if it is one."""
        first = self.answers[0]
        return first.tool_calls if isinstance(first, ToolCallCompletion) else ()

    @property
    def gain(self) -> float | None:
        """Best reward minus the first sample's; None where either is unknown."""
        if self.trajectory is None or self.trajectory.best is None:
            return None
        first = next((c for c in self.trajectory.initial if c.index == 0), None)
        return None if first is None else self.trajectory.best.reward - first.reward


@dataclass
class Service:
    """Answers requests with *policy* and *reward*.

    Args:
        name: the model's name for clients.
        hidden: texts that no client sees, such as servers' addresses.
        degrade: answer with the best that can be had where a model fails.
        progress: stream progress unless a request says otherwise.
        keeper: keeps trajectories; None keeps none.
    """

    policy: Policy
    reward: Reward
    settings: Settings
    name: str
    limits: Limits = field(default_factory=Limits)
    metrics: Metrics = field(default_factory=Metrics)
    hidden: Sequence[str] = ()
    degrade: bool = False
    progress: bool = True
    keeper: Keeper | None = None
    now: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.limits.running)
        self._ready: tuple[float, str | None] | None = None
        self._selection = selection_of(self.settings, self.reward, os.environ)
        self._checking = asyncio.Lock()
        self.waiting = 0
        self.running = 0

    def admit(self) -> None:
        """Refuse a request that would wait behind a full queue.

        Raises:
            ApiError: 429.
        """
        if self.waiting >= self.limits.waiting:
            raise ApiError(429, "too many requests are waiting; try again later", retry_after=5)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for one of the places of running requests and hold it while the block lasts."""
        self.waiting += 1
        self.metrics.waiting.set(self.waiting)
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
            self.metrics.waiting.set(self.waiting)
        self.running += 1
        self.metrics.running.set(self.running)
        try:
            yield
        finally:
            self._slots.release()
            self.running -= 1
            self.metrics.running.set(self.running)

    def method(self, request: ServedRequest) -> Method:
        """Return the method that *request* asks for.

        Raises:
            ApiError: its values do not go together.
        """
        try:
            return make_method(self._settings(request))
        except ConfigError as error:
            raise invalid(str(error)) from error

    def stopping(self, request: ServedRequest) -> tuple[StoppingRule, ...]:
        """Return the stopping rules that apply to *request*."""
        return stopping_rules(self._settings(request))

    def _settings(self, request: ServedRequest) -> Settings:
        """Return the operator's settings with what *request* sets."""
        settings, controls = self.settings, request.controls
        values: dict[str, Any] = {
            "method": controls.method,
            "sample_size": max(controls.sample_size or settings.sample_size, request.n),
            "max_iterations": controls.max_iterations,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "target_reward": controls.target_reward,
            "token_budget": controls.token_budget,
            "deadline": controls.deadline,
        }
        return replace(settings, **{name: value for name, value in values.items() if value is not None})

    async def answer(self, request: ServedRequest, listener: Listener) -> Outcome:
        """Return the outcome of *request*; *listener* receives the attempt's events.

        Raises:
            ApiError: no answer came.
        """
        started = self.now()
        async with self.slot():
            if request.is_off:
                outcome = await self._sample(request)
            else:
                with request_span(self.name, request):
                    outcome = await self._optimize(request, listener)
        self.metrics.count(outcome, self.now() - started)
        return outcome

    async def _optimize(self, request: ServedRequest, listener: Listener) -> Outcome:
        method, id_ = self.method(request), request.identity(self.settings.seed)
        policy = RequestPolicy(TracedPolicy(self.policy, self.name), request)
        try:
            async with self._recorded(id_, policy) as (recorded, reward):
                optimizer = Optimizer(
                    recorded,
                    reward,
                    method,
                    seed=self.settings.seed if request.seed is None else request.seed,
                    stopping=self.stopping(request),
                    fallback=fallback_of(self.settings),
                    selection=self._selection,
                    listener=listener,
                )
                trajectory = await optimizer.optimize(Query(id_, request.messages))
                if self.keeper is not None and policy.tool_call is None:
                    await self.keeper.keep(trajectory)
        except TpoError as error:
            log.error("%s: %s", id_, error)
            return self._unscored(policy, error, str(error), id_)
        if policy.tool_call is not None:
            return Outcome(id_, (policy.tool_call,), trajectory.usage, "tool_call")
        failed = trajectory.status == "failed"
        if failed:
            log.warning("%s failed: %s", id_, trajectory.error)
            if not (self.degrade and trajectory.pool):
                said = str(trajectory.error)
                return self._unscored(policy, policy.failure, said, id_, trajectory)
        answers = _best_of(trajectory, request.n)
        return Outcome(id_, answers, trajectory.usage, trajectory.stop_reason, trajectory, degraded=failed)

    def _recorded(self, id_: str, policy: Policy) -> AbstractAsyncContextManager[tuple[Policy, Reward]]:
        reward = TracedReward(self.reward)
        return (
            nullcontext((policy, reward))
            if self.keeper is None
            else self.keeper.recorded(id_, policy, reward)
        )

    def _unscored(
        self,
        policy: RequestPolicy,
        error: Exception | None,
        said: str,
        id_: str,
        trajectory: Trajectory | None = None,
    ) -> Outcome:
        """Return a sample without a score where the operator allows that.

        Raises:
            ApiError: the operator does not, or there is none.
        """
        if self.degrade and policy.first is not None:
            usage = {"sample": policy.first.usage} if trajectory is None else trajectory.usage
            return Outcome(id_, (policy.first,), usage, "error", trajectory, degraded=True)
        if trajectory is not None and "deadline" in said and policy.failure is None:
            raise ApiError(504, "the deadline passed before any response was scored")
        if trajectory is not None and said.startswith("unexpected "):  # a bug's own words are for the log
            said = "it failed unexpectedly"
        raise model_failure(error or policy.failure, said, self.hidden)

    async def _sample(self, request: ServedRequest) -> Outcome:
        """Return what the policy says, neither scored nor improved."""
        method = self.method(replace(request, controls=replace(request.controls, method="bon")))
        policy = RequestPolicy(self.policy, request)
        seed = self.settings.seed if request.seed is None else request.seed
        id_ = request.identity(seed)
        sampling = replace(method.sampling, n=request.n, seed=seed)
        try:
            scope = Scope(id_, 0, "sample")
            async with closing(_drawn(policy, request.messages, sampling, scope)) as completions:
                found = [completion async for completion in completions]
        except TpoError as error:
            raise model_failure(error, str(error), self.hidden) from error
        found.sort(key=lambda completion: completion.index)
        usage = sum((completion.usage for completion in found), Usage())
        return Outcome(id_, tuple(found), {"sample": usage}, OFF)

    async def ready(self) -> str | None:
        """Return why requests would fail now; None if policy and reward answer. Asked rarely, then cached."""
        async with self._checking:
            if self._ready is None or self.now() - self._ready[0] > READY_SECONDS:
                self._ready = self.now(), await self._check()
            return self._ready[1]

    async def _check(self) -> str | None:
        scope = Scope("ready", 0, "sample")
        part = "policy"
        try:
            async with asyncio.timeout(READY_SECONDS):
                messages = (user("Hello"),)
                async with closing(self.policy.sample(messages, Sampling(max_tokens=1), scope)) as drawn:
                    async for _ in drawn:
                        pass
                part = "reward"
                score: Score = await self.reward.score(messages, "Hello", replace(scope, phase="reward"))
                del score
        except (TpoError, TimeoutError) as error:
            log.warning("the %s is not ready: %s", part, error)
            return f"the {part} does not answer"
        return None


def _best_of(trajectory: Trajectory, n: int) -> tuple[Candidate, ...]:
    """Return the *n* best candidates of the pool, each text once if there are enough, the answer first."""
    best = trajectory.best
    ranked = sorted(trajectory.pool, key=lambda c: (c is not best, -c.reward))
    distinct = list({candidate.text: candidate for candidate in reversed(ranked)}.values())[::-1]
    distinct.sort(key=ranked.index)
    again = [candidate for candidate in ranked if candidate not in distinct]
    return tuple((distinct + again)[:n])


async def _drawn(
    policy: RequestPolicy, messages: Messages, sampling: Sampling, scope: Scope
) -> AsyncIterator[Completion]:
    try:
        async for completion in policy.sample(messages, sampling, scope):
            yield completion
    except AttemptStopped:  # a tool call is a reply as any other here
        if policy.tool_call is not None:
            yield policy.tool_call
