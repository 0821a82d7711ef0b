"""Policy and reward calls of one attempt: made, counted, scored and announced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

from tpo.errors import AttemptStopped, PolicyError, RewardError, RewardUnavailable, StoreError, TpoError
from tpo.events import (
    CallStarted,
    CandidateScored,
    Listener,
    Sampled,
    ScoringFailed,
    TextWritten,
    UpdateMalformed,
)
from tpo.methods.replay import Replay
from tpo.methods.seeds import base_seed
from tpo.methods.tags import Reader
from tpo.policies.base import Policy, stream_or_sample
from tpo.policies.checked import CompletionCheck, place_of
from tpo.policies.wrapper import closing
from tpo.rewards.base import Reward
from tpo.rewards.values import finite_score, place
from tpo.store.journal import request_hash
from tpo.store.jsonline import flat
from tpo.types import (
    Call,
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


@dataclass(eq=False)
class OpenCall:
    """A policy call of a step and what it has brought so far, by sample index.

    A draw that is continued is the same call. *name* is what its candidates' ids append. *unscored* is why
    the last response without a score has none.
    """

    scope: Scope
    messages: Messages
    sampling: Sampling
    request: str
    reads: bool = False
    parents: tuple[str, ...] = ()
    name: str = ""
    candidates: dict[int, Candidate] = field(default_factory=dict)
    replies: dict[int, Reply] = field(default_factory=dict)
    unscored: str | None = None
    usage: Usage = field(default_factory=Usage)
    completions: int = 0

    @property
    def drawn(self) -> tuple[Candidate, ...]:
        """Its responses, in the order of their indices; some may have no score."""
        return tuple(self.candidates[index] for index in sorted(self.candidates))

    @property
    def scored(self) -> tuple[Candidate, ...]:
        """Its responses that have a score."""
        return tuple(candidate for candidate in self.drawn if candidate.score is not None)

    def record(self) -> Call:
        """Return the call as it stands in a record."""
        scope = self.scope
        return Call(
            phase=scope.phase,
            messages=self.messages,
            n=self.sampling.n,
            seed=self.sampling.seed,
            request=self.request,
            branch=scope.branch,
            ordinal=scope.ordinal,
            role=scope.role,
            reads=self.reads,
            replies=tuple(self.replies[index] for index in sorted(self.replies)),
            usage=self.usage,
        )


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
    """Whether pieces of text are announced, where the policy has them."""

    def open(self, scope: Scope, messages: Messages, sampling: Sampling) -> OpenCall:
        """Return the call at *scope* with its seed; nothing is sent yet."""
        sampling = replace(sampling, seed=base_seed(self.seed, scope, sampling.n))
        return OpenCall(scope, messages, sampling, _request(messages, sampling))

    async def ask(self, call: OpenCall) -> None:
        """Collect the replies of *call* as they are."""
        if self._replayed(call, 0):
            return
        async for completion in self._completions(call, 0):
            call.replies[completion.index] = _reply(completion)

    async def draw(self, call: OpenCall, read: Reader, start: int = 0) -> None:
        """Collect the samples of *call* from index *start* on; score each while its siblings are written.

        A response that cannot be scored is kept without a score; a blank one is no response. After a failure
        of any other kind, what was written before it is scored all the same; then the failure is raised.
        """
        if self._replayed(call, start):
            return
        failures: list[BaseException] = []
        async with asyncio.TaskGroup() as scoring:
            try:
                async for completion in self._completions(call, start):
                    text = read(completion)
                    if text is None or not text.strip():
                        self._lose(call, completion)
                    else:
                        scoring.create_task(self._score(call, completion, text, failures))
            except (Exception, AttemptStopped) as failure:  # noqa: BLE001 - raised below, after the scores
                failures.append(failure)
        if failures:
            raise worst(failures)

    async def score(self, scope: Scope, texts: Sequence[str]) -> tuple[float | None, ...]:
        """Return the rewards of *texts*, which are no candidates; None where the reward refuses one."""

        async def one(index: int, text: str) -> float | None:
            try:
                score = await self.reward.score(self.query.messages, text, replace(scope, index=index))
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

    def _replayed(self, call: OpenCall, start: int) -> bool:
        """Collect the samples of *call* from index *start* on if they are recorded; return if so."""
        recorded = self.replay.find(call.scope, call.request)
        if recorded is None:
            return False
        stop = call.sampling.n
        results = self.replay.results(recorded, call.scope.step, call.name, start, stop)
        if results is None:
            return False
        self.announce(CallStarted(call.scope, stop - start))
        call.completions += len(results)
        if not start:  # the record holds the usage of all samples together
            self._count(call, recorded.usage)
        for result in results:
            if isinstance(result, Candidate):
                self._add(call, result)
            else:
                call.replies[result.index] = result
                if call.reads:
                    self.announce(UpdateMalformed(self.query, call.scope.step, result))
        return True

    def _count(self, call: OpenCall, usage: Usage) -> None:
        call.usage += usage
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

    def _lose(self, call: OpenCall, completion: Completion) -> None:
        reply = call.replies[completion.index] = _reply(completion)
        self.announce(UpdateMalformed(self.query, call.scope.step, reply))

    async def _score(
        self, call: OpenCall, completion: Completion, text: str, failures: list[BaseException]
    ) -> None:
        index = completion.index
        scope = replace(call.scope, phase="reward", index=index, data=self.query)
        score: Score | None = None
        try:
            score = await self._scored(text, scope)
        except (Exception, AttemptStopped) as failure:  # noqa: BLE001 - raised by draw, after the siblings
            if not _is_of_one_response(failure):
                failures.append(failure)
                return
            call.unscored = str(failure)
        candidate = Candidate(
            step=scope.step,
            index=index,
            text=text,
            score=score,
            finish_reason=completion.finish_reason,
            reasoning=completion.reasoning,
            served=completion.served,
            parents=call.parents,
            call=call.name,
        )
        self._add(call, candidate)

    def _source(self) -> Callable[[Messages, Sampling, Scope], AsyncIterator[Completion | Delta]]:
        return stream_or_sample(self.policy) if self.streams else self.policy.sample

    async def _scored(self, text: str, scope: Scope) -> Score:
        """Return the reward of *text*.

        Raises:
            RewardError: the reward gave no finite number, or raised a cancellation of its own.
        """
        name = type(self.reward).__name__
        try:
            return finite_score(await self.reward.score(self.query.messages, text, scope), name, scope)
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            raise RewardError(f"{place(scope)}: {name} raised CancelledError") from error

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
                    self._count(call, found.usage)
                    self.announce(Sampled(scope, found))
                    yield found
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            raise PolicyError(f"{place_of(scope)}: {check.name} raised CancelledError") from error
        if count < n:
            raise PolicyError(f"{place_of(scope)}: the policy gave {count} of {n} responses")


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


def _reply(completion: Completion) -> Reply:
    return Reply(
        completion.index, completion.text, completion.finish_reason, completion.reasoning, completion.served
    )


def _request(messages: Messages, sampling: Sampling) -> str:
    """Return the hash under which a journal keeps the call; empty where JSON has no form for a message."""
    try:
        return request_hash(messages, flat(sampling))
    except StoreError:
        return ""
