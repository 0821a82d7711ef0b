"""Policy and reward behind a journal: finished calls are answered from it.

Methods know nothing of resuming: they make their calls, and those that were finished answer at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace

from tpo.errors import AttemptStopped, PolicyError
from tpo.policies.base import Policy
from tpo.policies.checked import CompletionCheck
from tpo.policies.siblings import as_finished
from tpo.policies.wrapper import closing
from tpo.rewards.base import Reward
from tpo.rewards.judge.comparison import PairComparison, PairJudge
from tpo.rewards.values import ask_reward
from tpo.store.journal import Journal, request_hash
from tpo.store.jsonline import flat, plain, storable
from tpo.types import JUDGE, Completion, Messages, Query, Sampling, Scope, Score

COMPARISON = "comparison"
"""Phase of a comparison in the journal."""
STOPPED = "stopped"
"""Rule under which the journal keeps that an attempt was stopped; its decision is the stop reason."""


class JournaledDecisions:
    """Keeps in *journal* that a rule which depends on time stopped an attempt.

    After that, journaled policy and reward make no call of that step or a later one anew: a resumed run stops
    where the interrupted one did.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def keep(self, query: str, step: int, reason: str) -> None:
        """Return once it is on disk that *query* was stopped at *step* for *reason*.

        Raises:
            StoreError: it could not be written.
        """
        await self._journal.decide(query, step, STOPPED, reason)


class JournaledPolicy:
    """Middleware: answers from *journal*, and asks *policy* for what is missing there.

    A completion is yielded while it is being written, so that siblings share a trip to the disk; all are on
    disk before the call ends, and so before anything that follows from all of them is asked.
    """

    def __init__(self, policy: Policy, journal: Journal) -> None:
        self._policy = policy
        self._journal = journal

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield the completions of the journal, then the others as they finish.

        Raises:
            PolicyError: as the policy's own.
            StoreError: a completion could not be written.
        """
        request = request_hash(messages, flat(sampling))
        found = {i: self._journal.completion(scope, i, request) for i in range(sampling.n)}
        for completion in found.values():
            if completion is not None:
                yield completion
        missing = [index for index, completion in found.items() if completion is None]
        if not missing:
            return
        _check_not_stopped(self._journal, scope)
        check = CompletionCheck(self._policy, sampling.n, scope)
        writing: list[asyncio.Future[None]] = []
        try:
            async with closing(self._ask(messages, sampling, scope, missing)) as completions:
                async for completion in completions:
                    kept = _storable(check.take(completion))
                    writing.append(self._journal.enqueue(scope, request, kept))
                    yield kept
            for written in writing:  # one by one: a gather would call back once for each of them
                await written
        except BaseException:  # what came before a failure, or before nobody listened, is kept as well
            await asyncio.gather(*writing, return_exceptions=True)
            raise

    def _ask(
        self, messages: Messages, sampling: Sampling, scope: Scope, missing: Sequence[int]
    ) -> AsyncIterator[Completion]:
        """Request the samples *missing*: together if these are all of them, else one by one."""
        if len(missing) == sampling.n:
            return self._policy.sample(messages, sampling, scope)
        return as_finished(self._one(messages, sampling, scope, index) for index in missing)

    async def _one(self, messages: Messages, sampling: Sampling, scope: Scope, index: int) -> Completion:
        source = self._policy.sample(messages, sampling.only(index), scope)
        async with closing(source):
            async for completion in source:
                return replace(completion, index=index)
        place = f"query {scope.query!r}, {scope.phase} of step {scope.step}, sample {index}"
        raise PolicyError(f"{place}: the policy gave no response")


def score_request(messages: Messages, response: str, row: Query | None, columns: Collection[str]) -> str:
    """Return the hash under which a score is kept, of a reward that reads *columns* of the *row*."""
    values = {} if row is None else row.metadata
    read = [{name: plain(values.get(name)) for name in columns}] if columns else []
    return request_hash(messages, response, *read)


class JournaledReward:
    """Middleware: answers from *journal*, and asks *reward* for the rest.

    Scores are on disk before they are returned. *columns* are those of the data that *reward* reads: a score
    is that of their values.
    """

    def __init__(self, reward: Reward, journal: Journal, columns: Collection[str] = ()) -> None:
        self._reward = reward
        self._journal = journal
        self._columns = columns

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        """Return the score of *response*, from the journal or from the reward.

        Raises:
            RewardError: as the reward's own, or the score is no finite number.
            StoreError: it could not be written.
        """
        request = score_request(messages, response, scope.data, self._columns)
        score = self._journal.score(scope, request)
        if score is None:
            _check_not_stopped(self._journal, scope)
            score = await ask_reward(self._reward, messages, response, scope)
            await self._journal.append(scope, request, score)
        return score


class JournaledJudge:
    """Middleware: comparisons that *journal* has are not made again by *judge*.

    A comparison is kept as the judge's completion, whose text is the probability. *identity* names the judge
    where the journal outlives a change of it: a comparison by one judge is none by another.
    """

    def __init__(self, judge: PairJudge, journal: Journal, identity: Sequence[str] = ()) -> None:
        self._judge = judge
        self._journal = journal
        self._identity = tuple(identity)

    async def comparison(self, query: Query, first: str, second: str) -> PairComparison:
        """Return the comparison, from the journal or from the judge; it is on disk before it is returned.

        Raises:
            RewardError: as the judge's own.
            StoreError: it could not be written.
        """
        scope = Scope(query.id, 0, COMPARISON, role=JUDGE)
        request = request_hash(query.messages, first, second, *self._identity)
        found = self._journal.completion(scope, 0, request)
        if found is not None:
            return PairComparison(float(found.text), usage=found.usage)
        made = await self._judge.comparison(query, first, second)
        await self._journal.append(
            scope, request, Completion(0, repr(float(made.probability)), usage=made.usage)
        )
        return made


def _check_not_stopped(journal: Journal, scope: Scope) -> None:
    """End the attempt where the journal says that it was stopped at this step or before.

    Raises:
        AttemptStopped: it was.
    """
    for step in range(scope.step + 1):
        if (reason := journal.decision(scope.query, step, STOPPED)) is not None:
            raise AttemptStopped(str(reason))


def _storable(completion: Completion) -> Completion:
    reasoning = completion.reasoning
    if completion.text.isascii() and reasoning is None:
        return completion
    return replace(
        completion,
        text=storable(completion.text),
        reasoning=None if reasoning is None else storable(reasoning),
    )
