"""Policy and reward calls of one attempt: made, counted, scored and announced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

from tpo.errors import AttemptStopped, PolicyError, RewardError, RewardUnavailable, TpoError
from tpo.events import (
    CallStarted,
    CandidateScored,
    Listener,
    Sampled,
    ScoringFailed,
    TextWritten,
    UpdateMalformed,
)
from tpo.methods.open_call import OpenCall, hash_of_call, reply_of
from tpo.methods.replay import Replay
from tpo.methods.seeds import base_seed
from tpo.methods.tags import Reader
from tpo.policies.base import Policy, stream_or_sample
from tpo.policies.checked import CompletionCheck, place_of
from tpo.policies.wrapper import closing
from tpo.rewards.base import Reward
from tpo.rewards.values import ask_reward, place
from tpo.types import (
    Candidate,
    Completion,
    Delta,
    Messages,
    Phase,
    Query,
    Reply,
    RewardUsage,
    Sampling,
    Scope,
    Score,
    Usage,
)
from tpo.user_functions import is_cancelled


@dataclass
class Calls:
    """The calls of one attempt at *query*, with their cost."""

    query: Query
    policy: Policy
    reward: Reward
    seed: int
    announce: Listener
    replay: Replay = field(default_factory=Replay)
    usage: dict[Phase, Usage] = field(default_factory=dict)
    reward_usage: RewardUsage = field(default_factory=RewardUsage)
    streams: bool = False
    """True if pieces of text are announced, where the policy has them."""

    def open(self, scope: Scope, messages: Messages, sampling: Sampling) -> OpenCall:
        """Return the call at *scope* with its seed; nothing is sent yet."""
        sampling = replace(sampling, seed=base_seed(self.seed, scope, sampling.n))
        return OpenCall(scope, messages, sampling, hash_of_call(messages, sampling))

    async def ask(self, call: OpenCall) -> None:
        """Collect the replies of *call* as they are."""
        if await self._replayed(call, 0):
            return
        async for completion in self._completions(call, 0):
            call.replies[completion.index] = reply_of(completion)

    async def draw(self, call: OpenCall, read: Reader, start: int = 0) -> None:
        """Collect the samples of *call* from index *start* on; score each while its siblings are written.

        A response that cannot be scored is kept without a score; a blank one is no response. After a failure
        of any other kind, what was written before it is scored all the same; then the failure is raised.
        """
        if await self._replayed(call, start):
            return
        failures: list[BaseException] = []
        async with asyncio.TaskGroup() as scoring:
            try:
                async for completion in self._completions(call, start):
                    text = read(completion)
                    if text is None or not text.strip():
                        self._record_unreadable(call, completion)
                    else:
                        candidate = _candidate_of(completion, text, call)
                        scoring.create_task(self._score(call, candidate, failures))
            except (Exception, AttemptStopped) as failure:  # noqa: BLE001 - raised below, after the scores
                failures.append(failure)
        if failures:
            raise worst(failures)

    async def score(self, scope: Scope, texts: Sequence[str]) -> tuple[float | None, ...]:
        """Return the rewards of *texts*, which are no candidates; None where the reward refuses one."""

        async def one(index: int, text: str) -> float | None:
            try:
                score = await self._scored(text, replace(scope, index=index, data=self.query))
            except RewardError as failure:
                if not _is_of_one_response(failure):
                    raise
                self._count_score(None)
                return None
            self._count_score(score)
            return score.value

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(index, text)) for index, text in enumerate(texts)]
        except BaseExceptionGroup as failures:
            raise worst([failures]) from None
        return tuple(task.result() for task in tasks)

    async def _replayed(self, call: OpenCall, start: int) -> bool:
        """Collect the samples of *call* from index *start* on if they are recorded; return if so.

        Those that could not be scored then are scored again.
        """
        recorded = self.replay.find(call.scope, call.request)
        if recorded is None:
            return False
        stop = call.sampling.n
        results = self.replay.results(recorded, call.scope.step, call.name, start, stop)
        if results is None:
            return False
        self.announce(CallStarted(call.scope, stop - start))
        call.completions += len(results)
        if (usage := recorded.usage_of(start, stop)) is not None:
            self._count(call, usage, start)
        failures: list[BaseException] = []
        async with asyncio.TaskGroup() as scoring:
            for result in results:
                if isinstance(result, Reply):
                    call.replies[result.index] = result
                    if call.reads:
                        self.announce(UpdateMalformed(self.query, call.scope.step, result))
                elif result.score is None:
                    scoring.create_task(self._score(call, result, failures))
                else:
                    self._add(call, result)
        if failures:
            raise worst(failures)
        return True

    def _count(self, call: OpenCall, usage: Usage, start: int) -> None:
        call.count(usage, start)
        self.usage[call.scope.phase] = self.usage.get(call.scope.phase, Usage()) + usage

    def _add(self, call: OpenCall, candidate: Candidate) -> None:
        """Record *candidate*, with its score or without one."""
        self._count_score(candidate.score)
        call.candidates[candidate.index] = candidate
        if candidate.score is None:
            self.announce(ScoringFailed(self.query, candidate, call.unscored or ""))
        else:
            self.announce(CandidateScored(self.query, candidate))

    def _count_score(self, score: Score | None) -> None:
        tokens = 0 if score is None else score.tokens
        self.reward_usage = RewardUsage(self.reward_usage.calls + 1, self.reward_usage.tokens + tokens)

    def _record_unreadable(self, call: OpenCall, completion: Completion) -> None:
        reply = call.replies[completion.index] = reply_of(completion)
        self.announce(UpdateMalformed(self.query, call.scope.step, reply))

    async def _score(self, call: OpenCall, candidate: Candidate, failures: list[BaseException]) -> None:
        """Score *candidate*, which has no score, and record it."""
        scope = replace(call.scope, phase="reward", index=candidate.index, data=self.query)
        score: Score | None = None
        try:
            score = await self._scored(candidate.text, scope)
        except (Exception, AttemptStopped) as failure:  # noqa: BLE001 - raised by draw, after the siblings
            if not _is_of_one_response(failure):
                failures.append(failure)
                return
            call.unscored = str(failure)
        self._add(call, replace(candidate, score=score))

    def _source(self) -> Callable[[Messages, Sampling, Scope], AsyncIterator[Completion | Delta]]:
        return stream_or_sample(self.policy) if self.streams else self.policy.sample

    async def _scored(self, text: str, scope: Scope) -> Score:
        """Return the reward of *text*.

        Raises:
            RewardError: the reward gave no finite number, or raised a cancellation of its own.
            RewardRefused: its ``score`` is not asynchronous.
        """
        try:
            return await ask_reward(self.reward, self.query.messages, text, scope)
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            raise RewardError(
                f"{place(scope)}: {type(self.reward).__name__} raised CancelledError"
            ) from error

    async def _completions(self, call: OpenCall, start: int) -> AsyncIterator[Completion]:
        """Yield the completions of *call* from index *start* on.

        Raises:
            PolicyError: the policy yielded fewer than requested, or something else.
        """
        scope = call.scope
        n = call.sampling.n - start
        sampling = replace(call.sampling, n=n, seed=call.sampling.seed + start) if start else call.sampling
        count, check = 0, CompletionCheck(self.policy, n, scope)
        self.announce(CallStarted(scope, n))
        try:
            async with closing(self._source()(call.messages, sampling, scope)) as completions:
                async for completion in completions:
                    if isinstance(completion, Delta):
                        self.announce(TextWritten(scope, replace(completion, index=completion.index + start)))
                        continue
                    check.take(completion)
                    count += 1
                    found = replace(completion, index=completion.index + start) if start else completion
                    call.completions += 1
                    self._count(call, found.usage, start)
                    self.announce(Sampled(scope, found))
                    yield found
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            raise PolicyError(f"{place_of(scope)}: {check.name} raised CancelledError") from error
        if count < n:
            raise PolicyError(f"{place_of(scope)}: the policy gave {count} of {n} responses")


def _candidate_of(completion: Completion, text: str, call: OpenCall) -> Candidate:
    """Return the response *text* that was read from *completion* of *call*, without a score."""
    return Candidate(
        step=call.scope.step,
        index=completion.index,
        text=text,
        score=None,
        finish_reason=completion.finish_reason,
        reasoning=completion.reasoning,
        served=completion.served,
        parents=call.parents,
        call=call.name,
    )


def _is_of_one_response(failure: BaseException) -> bool:
    """Return whether a failure to score says nothing about the other responses of the query."""
    if not isinstance(failure, RewardError) or isinstance(failure, RewardUnavailable):
        return False
    return not failure.fatal


def worst(failures: Sequence[BaseException]) -> BaseException:
    """Return the first fatal one of *failures*, else the first; groups are looked into."""
    leaves = [leaf for failure in failures for leaf in _leaves(failure)]
    return next((leaf for leaf in leaves if isinstance(leaf, TpoError) and leaf.fatal), leaves[0])


def _leaves(failure: BaseException) -> list[BaseException]:
    if isinstance(failure, BaseExceptionGroup):
        return [leaf for part in failure.exceptions for leaf in _leaves(part)]
    return [failure]
