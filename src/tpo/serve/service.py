"""Service: runs the method for one request at a time of many, under the operator's limits."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from tpo.config import Settings, fallback_of, make_method, selection_of, stopping_rules
from tpo.errors import AttemptStopped, ConfigError, PolicyError, RewardError, TpoError
from tpo.events import CandidateScored, Event, Listener
from tpo.methods.method import Method
from tpo.methods.optimize import Optimizer
from tpo.methods.seeds import base_seed
from tpo.methods.selection import Selection
from tpo.methods.stopping import StoppingRule
from tpo.policies.base import Policy
from tpo.policies.wrapper import closing
from tpo.rewards.base import Reward
from tpo.serve.admission import Admission, Place
from tpo.serve.api_error import invalid, late, model_failure
from tpo.serve.keeper import Keeper
from tpo.serve.metrics import Metrics
from tpo.serve.outcome import Outcome, best_of
from tpo.serve.progress import progress_line
from tpo.serve.readiness import Readiness
from tpo.serve.request import OFF, Limits, ServedRequest
from tpo.serve.request_policy import RequestPolicy, refuse_server_fields
from tpo.serve.tool_turns import PlainReward
from tpo.serve.tracing import TracedPolicy, TracedReward, request_span
from tpo.types import (
    CRITIC,
    EDITOR,
    WRITER,
    Candidate,
    Completion,
    Messages,
    Query,
    Sampling,
    Scope,
    Trajectory,
)

log = logging.getLogger(__name__)

LAST_MOMENT = 0.001
"""Seconds of a deadline that are left in any case, since a rule needs a deadline above 0."""


@dataclass
class Service:
    """Answers requests with *policy* and *reward*.

    Args:
        name: the model's name for clients.
        hidden: texts that no client sees, such as servers' addresses.
        degrade: answer with the best that can be had where a model fails.
        progress: stream progress unless a request says otherwise.
        keeper: keeps trajectories; None keeps none.
        selection: chooses the answer; None builds what the settings name.
        is_local: whether the policy runs in this process, and so takes no tools or formats.
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
    selection: Selection | None = None
    is_local: bool = False
    now: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        stopping_rules(self.settings)  # its mistakes show now, not with every request
        if self.selection is None:
            self.selection = selection_of(self.settings, self.reward, os.environ)
        self.admission = Admission(self.limits, self.metrics)
        method = make_method(self.settings)
        samplings = {CRITIC: method.critique_sampling, EDITOR: method.sampling}
        others = {role: given for role, given in samplings.items() if getattr(self.settings, role)}
        roles = {WRITER: method.sampling, **others}
        self.readiness = Readiness(self.policy, self.reward, roles, self.now)

    @property
    def waiting(self) -> int:
        """Number of requests that wait."""
        return self.admission.waiting

    @property
    def running(self) -> int:
        """Number of requests that run."""
        return self.admission.running

    def check(self, request: ServedRequest) -> None:
        """Refuse a request whose values do not go together, or need another kind of policy.

        Raises:
            ApiError: naming the field.
        """
        if self.is_local:
            refuse_server_fields(request.answer_fields)
        if not request.is_off:
            self.method(request)
            self.stopping(request)

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
        """Return the stopping rules that apply to *request*.

        Raises:
            ApiError: one is for another method, N or D.
        """
        try:
            return stopping_rules(self._settings(request))
        except ConfigError as error:
            raise invalid(str(error)) from error

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

    async def answer(
        self, request: ServedRequest, place: Place, show: Callable[[str], None] | None = None
    ) -> Outcome:
        """Return the outcome of *request*, which has *place*; *show* receives its progress as lines of text.

        Its deadline counts from now on, waiting for a slot included.

        Raises:
            ApiError: no answer came.
        """
        started, deadline = self.now(), request.controls.deadline
        first_token: float | None = None

        def listen(event: Event) -> None:
            nonlocal first_token
            line = None if show is None else progress_line(event)
            if show is not None and line is not None:
                first_token = self.now() - started if first_token is None else first_token
                show(line)

        async with place.running(deadline):
            left = None if deadline is None else max(deadline - (self.now() - started), LAST_MOMENT)
            if request.is_off:
                outcome = await self._sample(request, left)
            else:
                with request_span(self.name, request):
                    outcome = await self._optimize(request, listen, left)
        seconds = self.now() - started
        self.metrics.count(outcome, seconds, seconds if first_token is None else first_token)
        return outcome

    async def _optimize(self, request: ServedRequest, listener: Listener, left: float | None) -> Outcome:
        """Return the outcome of *request*, which has *left* seconds of its deadline."""
        method, id_ = self.method(request), request.identity(self.settings.seed)
        policy = RequestPolicy(TracedPolicy(self.readiness, self.name), request, self.metrics.spend)
        scored: list[Candidate] = []

        def listen(event: Event) -> None:
            if isinstance(event, CandidateScored):
                scored.append(event.candidate)
            listener(event)

        try:
            async with self._recorded(id_, policy) as (recorded, reward):
                optimizer = Optimizer(
                    recorded,
                    reward,
                    method,
                    seed=self.settings.seed if request.seed is None else request.seed,
                    stopping=self.stopping(
                        replace(request, controls=replace(request.controls, deadline=left))
                    ),
                    fallback=fallback_of(self.settings),
                    selection=self.selection,
                    listener=listen,
                )
                trajectory = await optimizer.optimize(Query(id_, request.messages))
                if self.keeper is not None and policy.tool_call is None:
                    await self.keeper.keep(trajectory)
        except TpoError as error:
            log.error("%s: %s", id_, error)
            return self._degraded(request, policy, scored, error, str(error))
        if policy.tool_call is not None:
            return Outcome(id_, (policy.tool_call,), policy.usage, "tool_call")
        failed = trajectory.status == "failed"
        if failed:
            log.warning("%s failed: %s", id_, trajectory.error)
            if not (self.degrade and trajectory.pool):
                said = str(trajectory.error)
                ended_by = trajectory.exception
                cause = ended_by if isinstance(ended_by, PolicyError | RewardError) else policy.failure
                return self._degraded(request, policy, scored, cause, said, trajectory)
        answers = best_of(trajectory.pool, request.n, trajectory.best)
        return Outcome(id_, answers, policy.usage, trajectory.stop_reason, trajectory, degraded=failed)

    def _recorded(self, id_: str, policy: Policy) -> AbstractAsyncContextManager[tuple[Policy, Reward]]:
        reward = PlainReward(TracedReward(self.readiness))
        return (
            nullcontext((policy, reward))
            if self.keeper is None
            else self.keeper.recorded(id_, policy, reward)
        )

    def _degraded(
        self,
        request: ServedRequest,
        policy: RequestPolicy,
        scored: Sequence[Candidate],
        error: Exception | None,
        said: str,
        trajectory: Trajectory | None = None,
    ) -> Outcome:
        """Return the best that was *scored*, or a sample without a score, where the operator allows that.

        Raises:
            ApiError: the operator does not, or there is none.
        """
        best = best_of(scored, request.n)
        answers = best or (() if policy.first is None else (policy.first,))
        if self.degrade and answers:
            id_ = request.identity(self.settings.seed)
            return Outcome(id_, answers, policy.usage, "error", trajectory, degraded=True)
        if trajectory is not None and "deadline" in said and error is None:
            raise late()
        if trajectory is not None and said.startswith("unexpected "):  # a bug's own words are for the log
            said = "it failed unexpectedly"
        raise model_failure(error, said, self.hidden)

    async def _sample(self, request: ServedRequest, left: float | None) -> Outcome:
        """Return what the policy says within *left* seconds, neither scored nor improved."""
        method = self.method(replace(request, controls=replace(request.controls, method="bon")))
        policy = RequestPolicy(self.readiness, request, self.metrics.spend)
        seed = self.settings.seed if request.seed is None else request.seed
        id_ = request.identity(seed)
        scope = Scope(id_, 0, "sample")
        sampling = replace(method.sampling, n=request.n, seed=base_seed(seed, scope, request.n))
        try:
            async with (
                asyncio.timeout(left),
                closing(_drawn(policy, request.messages, sampling, scope)) as completions,
            ):
                found = [completion async for completion in completions]
        except TimeoutError as error:
            raise late() from error
        except TpoError as error:
            raise model_failure(error, str(error), self.hidden) from error
        found.sort(key=lambda completion: completion.index)
        return Outcome(id_, tuple(found), policy.usage, OFF)


async def _drawn(
    policy: RequestPolicy, messages: Messages, sampling: Sampling, scope: Scope
) -> AsyncIterator[Completion]:
    try:
        async for completion in policy.sample(messages, sampling, scope):
            yield completion
    except AttemptStopped:  # a tool call is a reply as any other here
        if policy.tool_call is not None:
            yield policy.tool_call
