"""Run queries with bounded concurrency, persist each result, resume after interruption."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from tpo.errors import ConfigError, DataError, TpoError
from tpo.events import Listener
from tpo.methods.fallback import Fallback
from tpo.methods.method import Method
from tpo.methods.optimize import Optimizer
from tpo.methods.selection import JudgedSelection, Selection
from tpo.methods.stopping import StoppingRule
from tpo.policies.base import Policy
from tpo.policies.function import PolicyFunction, as_policy
from tpo.rewards.base import Reward
from tpo.rewards.function import RewardFunction, as_reward
from tpo.rewards.function_retry import probe_all
from tpo.runs.forecast import planned_calls
from tpo.runs.gc_tuning import collecting_rarely
from tpo.runs.results import RunResults
from tpo.runs.retries import Retries
from tpo.runs.scheduler import Scheduler
from tpo.runs.summary import Summary
from tpo.store.directory import RunDirectory
from tpo.store.journaled_models import JournaledDecisions, JournaledJudge, JournaledPolicy, JournaledReward
from tpo.types import Query


async def run_queries(
    queries: Iterable[Query],
    policy: Policy | PolicyFunction,
    reward: Reward | RewardFunction,
    method: Method,
    directory: RunDirectory,
    *,
    seed: int = 7,
    stopping: Sequence[StoppingRule] = (),
    fallback: Fallback | None = None,
    selection: Selection | None = None,
    concurrency: int = 64,
    sequences: int | None = None,
    total: int | None = None,
    listener: Listener | None = None,
    retries: Retries | None = None,
) -> Summary:
    """Optimize each of *queries* that *directory* does not hold as finished, and keep what comes of it.

    Queries are taken from their iterable as places become free, never all at once. A query that fails is kept
    as failed and its siblings go on; a fatal error, which every query would meet, ends the run at once. After
    that, or after a cancellation (Ctrl-C under :func:`asyncio.run`), what is finished is on disk, the calls
    that are finished are in the journal, and the same command resumes.

    Ids must be unique: resume matches queries by id. Models may be plain functions; their calls go
    through the journal of *directory*, which the caller closes. At most *concurrency* queries are in flight;
    with *sequences*, what the servers run at a time, a call waits while that many samples are in flight, and
    a query starts while there is room, or when all that are left fit in (see :mod:`tpo.runs.scheduler`).
    A reward function of the user's own is probed before the first policy call.
    *stopping* rules end a query early; *fallback* takes over where no update is readable; *selection*
    chooses the answer from its pool.
    *total* tells the *listener* how many there are, if that is known. *retries* has counted what the models
    tried again when the run ends, for its record.

    Raises:
        TpoError: a fatal one.
        asyncio.CancelledError: the run was interrupted, and its end noted in ``run.json``.
    """
    if concurrency < 1:
        raise ConfigError(f"--concurrency is {concurrency}; it must be at least 1")
    model, scores, waiting = as_policy(policy), as_reward(reward), _unfinished(queries, directory)
    first = next(waiting, None)
    if first is not None:
        await probe_all([scores], first.messages)
        waiting = chain([first], waiting)
    scheduler = None
    if sequences is not None:
        model = scheduler = Scheduler(model, planned_calls(method), sequences, waiting, concurrency)
    if isinstance(selection, JudgedSelection):
        selection = selection.judged_by(JournaledJudge(selection.judge, directory.journal))
    optimizer = Optimizer(
        JournaledPolicy(model, directory.journal),
        JournaledReward(scores, directory.journal, directory.columns),
        method,
        seed=seed,
        stopping=stopping,
        fallback=fallback,
        selection=selection,
        decisions=JournaledDecisions(directory.journal),
        listener=listener,
        clock=directory.now,
    )
    results = RunResults(directory, retries or Retries(), optimizer.announce)
    under_way = _Run(optimizer, results, waiting, scheduler)
    with collecting_rarely():
        return await under_way.over(concurrency, total)


@dataclass
class _Run:
    """A run under way: who works, and what came of it so far."""

    optimizer: Optimizer
    results: RunResults
    waiting: Iterator[Query]
    scheduler: Scheduler | None
    keeping: set[asyncio.Task[None]] = field(default_factory=set)

    async def over(self, concurrency: int, total: int | None) -> Summary:
        self.results.start(total)
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(concurrency):
                    workers.create_task(self._work())
        except BaseExceptionGroup as failures:
            await self._kept()
            await self.results.interrupt()
            raise _worst(failures) from None
        except BaseException:
            await self._kept()
            await self.results.interrupt()
            raise
        await self._kept()
        return await self.results.end(interrupted=False)

    async def _take(self) -> Query | None:
        return next(self.waiting, None) if self.scheduler is None else await self.scheduler.take()

    async def _work(self) -> None:
        """Run the next query that is not in progress, until none is left."""
        while (query := await self._take()) is not None:
            earlier = self.results.directory.earlier(query)
            trajectory = await self.optimizer.optimize(query, earlier=earlier)
            # A task of its own: a worker that is cancelled now must not lose count of what reaches the disk.
            keep = asyncio.create_task(self.results.keep(trajectory))
            self.keeping.add(keep)
            keep.add_done_callback(self.keeping.discard)
            await asyncio.shield(keep)
            if self.scheduler is not None:
                self.scheduler.end(query.id)

    async def _kept(self) -> None:
        await asyncio.gather(*self.keeping, return_exceptions=True)


def _unfinished(queries: Iterable[Query], directory: RunDirectory) -> Iterator[Query]:
    """Yield those of *queries* that *directory* does not hold as finished.

    Raises:
        DataError: an id occurs twice.
        StoreMismatch: a finished query has changed.
    """
    seen: set[str] = set()
    for query in queries:
        if query.id in seen:
            raise DataError(
                f"query id {query.id!r} occurs twice in the data; ids must be unique: "
                "resume matches queries by id"
            )
        seen.add(query.id)
        if not directory.is_finished(query):
            yield query


def _worst(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ends a run: a fatal one before any other."""
    leaves = _leaves(failures)
    return next((leaf for leaf in leaves if isinstance(leaf, TpoError) and leaf.fatal), leaves[0])


def _leaves(failure: BaseException) -> list[BaseException]:
    if isinstance(failure, BaseExceptionGroup):
        return [leaf for part in failure.exceptions for leaf in _leaves(part)]
    return [failure]
