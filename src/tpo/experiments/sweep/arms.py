"""Arms of a sweep: cells that differ only in their seed, averaged by query.

Intervals and tests treat a query as one observation, so seeds are averaged first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from statistics import fmean
from typing import TypeVar

from tpo.experiments.cells import Cell
from tpo.experiments.sweep.held_out import best_by_step
from tpo.methods.method import Method
from tpo.report.measures import measure
from tpo.report.statistics import expected_best, expected_of_best
from tpo.store.journal import request_hash
from tpo.store.jsonline import flat
from tpo.types import Query, Step, Trajectory, Usage

T = TypeVar("T")

RoleTokens = tuple[float, ...]
"""Prompt, completion and cached prompt tokens."""
HeldOutScore = Callable[[Query, str], float | None]
"""Return the held-out score of a response, or None if it has none."""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Numbers of one query of an arm, averaged over seeds; tuples by step have D + 1 entries from step 0.

    Attributes:
        first: reward of the very first sample: the unaligned answer.
        best_of: expected best of n of the first samples, n = 1 to the number drawn.
        best: best reward of the pool after each step; a query that stopped early keeps its best.
        read: cumulative prompt tokens after each step.
        written: cumulative completion tokens after each step.
        calls: cumulative calls after each step, samples and critiques.
        sample_read: prompt tokens of the first samples.
        sample_written: completion tokens of the first samples.
        check_first: held-out score of the first sample; None if it has none.
        check: held-out score of the best response after each step; empty if one of them has none.
        check_best_of: expected held-out score of the best of n first samples by the guiding reward, n = 1 to
            the number drawn; empty if one of them has no held-out score.
        seconds: seconds from the query's start to its end.
        cached: cumulative prompt tokens from the server's cache after each step; empty: none.
        sample_cached: prompt tokens of the first samples from the cache.
        sample_requests: requests of the first samples.
        by_role: cumulative prompt, completion and cached prompt tokens after each step, by role.
    """

    first: float
    best_of: tuple[float, ...]
    best: tuple[float, ...]
    read: tuple[float, ...]
    written: tuple[float, ...]
    calls: tuple[float, ...]
    sample_read: float
    sample_written: float
    check_first: float | None = None
    check: tuple[float, ...] = ()
    check_best_of: tuple[float, ...] = ()
    seconds: float = 0.0
    cached: tuple[float, ...] = ()
    sample_cached: float = 0.0
    sample_requests: float = 1.0
    by_role: Mapping[str, tuple[RoleTokens, ...]] = field(default_factory=dict)

    @property
    def samples(self) -> float:
        """Number of first samples: a rule may end their draw before N, and a fallback draws more."""
        return self.calls[0]

    @property
    def answer(self) -> float:
        """Reward of the final answer."""
        return self.best[-1]


@dataclass(frozen=True, slots=True)
class Arm:
    """A method with its N and D under one reward, over all seeds.

    Attributes:
        label: method with its shape: ``tpo D2-N5``.
        method: the method.
        reward: the guiding reward.
        seeds: all seeds.
        results: results by query, of the queries that every seed has finished.
        missing: number of queries that some seed has not finished.
        sampling_key: equal for arms that draw their first samples in the same way.
    """

    label: str
    method: Method
    reward: str
    seeds: tuple[int, ...]
    results: Mapping[str, QueryResult]
    missing: int
    sampling_key: str

    @property
    def method_name(self) -> str:
        """Name of the method without its shape."""
        return self.method.name

    @property
    def n(self) -> int:
        """Samples per step."""
        return self.method.sample_size

    @property
    def pool_size(self) -> int:
        """Number of first samples that every query has; a rule may end the draw of one early."""
        return min((len(row.best_of) for row in self.results.values()), default=0)

    @property
    def depth(self) -> int:
        """Number of iterations."""
        return self.method.max_iterations


def make_arms(
    cells: Sequence[Cell],
    queries: Sequence[Query],
    read: Callable[[Cell], Iterable[Trajectory]],
    held_out: HeldOutScore | None = None,
) -> tuple[Arm, ...]:
    """Return the arms of *cells* over *queries*; reads one run at a time and keeps only numbers.

    Args:
        cells: the cells.
        queries: the queries of the sweep.
        read: returns the trajectories of a cell.
        held_out: returns held-out scores; None: there are none.
    """
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.reward, cell.label), []).append(cell)
    return tuple(_arm(group, queries, read, held_out) for group in groups.values())


def _arm(
    cells: Sequence[Cell],
    queries: Sequence[Query],
    read: Callable[[Cell], Iterable[Trajectory]],
    held_out: HeldOutScore | None,
) -> Arm:
    ids = {query.id for query in queries}
    by_query: dict[str, list[QueryResult]] = {}
    for cell in cells:
        for trajectory in read(cell):
            if trajectory.query.id in ids and trajectory.status == "finished" and trajectory.initial:
                results = by_query.setdefault(trajectory.query.id, [])
                results.append(query_result(trajectory, cell.method.max_iterations, held_out))
    first = cells[0]
    complete = {
        q.id: average_seeds(by_query[q.id]) for q in queries if len(by_query.get(q.id, ())) == len(cells)
    }
    return Arm(
        label=first.label,
        method=first.method,
        reward=first.reward,
        seeds=tuple(cell.seed for cell in cells),
        results=complete,
        missing=len(queries) - len(complete),
        sampling_key=_sampling_key(first.method, queries[0]),
    )


def query_result(trajectory: Trajectory, depth: int, held_out: HeldOutScore | None = None) -> QueryResult:
    """Return the numbers of one finished *trajectory* of *depth* iterations."""
    numbers = measure(trajectory)
    steps = numbers.steps
    critiques = [0, *(_critiques(step) for step in trajectory.steps)]
    calls = accumulate(step.drawn + count for step, count in zip(steps, critiques, strict=True))
    result = QueryResult(
        first=trajectory.initial[0].reward,
        best_of=tuple(expected_best([steps[0].rewards], [steps[0].drawn])[0]),
        best=_padded([step.best or 0.0 for step in steps], depth),
        read=_padded([step.read for step in steps], depth),
        written=_padded([step.written for step in steps], depth),
        calls=_padded([float(count) for count in calls], depth),
        sample_read=float(numbers.sample_read),
        sample_written=float(numbers.sample_written),
        seconds=trajectory.timing.ended - trajectory.timing.started,
        cached=_padded([step.cached for step in steps], depth),
        sample_cached=float(numbers.sample_cached),
        sample_requests=float(numbers.sample_requests),
        by_role=_by_role(trajectory, depth),
    )
    return result if held_out is None else _with_held_out(result, trajectory, depth, held_out)


def average_seeds(results: Sequence[QueryResult]) -> QueryResult:
    """Return the mean of one query's *results* over seeds; held-out scores only if every seed has them."""
    has_check = all(result.check for result in results)
    firsts = [result.check_first for result in results if result.check_first is not None]
    return QueryResult(
        first=fmean(result.first for result in results),
        best_of=_mean(_same_length([result.best_of for result in results])),
        best=_mean([result.best for result in results]),
        read=_mean([result.read for result in results]),
        written=_mean([result.written for result in results]),
        calls=_mean([result.calls for result in results]),
        sample_read=fmean(result.sample_read for result in results),
        sample_written=fmean(result.sample_written for result in results),
        check_first=fmean(firsts) if has_check and len(firsts) == len(results) else None,
        check=_mean([result.check for result in results]) if has_check else (),
        check_best_of=_mean(_same_length([result.check_best_of for result in results]))
        if all(result.check_best_of for result in results)
        else (),
        seconds=fmean(result.seconds for result in results),
        cached=_mean([result.cached for result in results]),
        sample_cached=fmean(result.sample_cached for result in results),
        sample_requests=fmean(result.sample_requests for result in results),
        by_role=_mean_by_role([result.by_role for result in results]),
    )


def largest_pools(arms: Iterable[Arm]) -> list[Arm]:
    """Return, for each reward and sampling key, the arm with the largest pool of first samples."""
    found: dict[tuple[str, str], Arm] = {}
    for arm in arms:
        key = (arm.reward, arm.sampling_key)
        if arm.results and (key not in found or arm.n > found[key].n):
            found[key] = arm
    return list(found.values())


def _with_held_out(
    result: QueryResult, trajectory: Trajectory, depth: int, held_out: HeldOutScore
) -> QueryResult:
    samples = [held_out(trajectory.query, each.text) for each in trajectory.initial]
    known_samples = [value for value in samples if value is not None]
    if len(known_samples) == len(samples):
        rewards = [each.reward for each in trajectory.initial]
        expected = expected_of_best(rewards, known_samples, len(result.best_of))
        result = replace(result, check_best_of=tuple(expected))
    values = [held_out(trajectory.query, each.text) for each in best_by_step(trajectory)]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return result
    return replace(result, check_first=samples[0], check=_padded(known, depth))


def without_held_out(result: QueryResult) -> QueryResult:
    """Return *result* without held-out scores."""
    return replace(result, check=(), check_first=None, check_best_of=())


def _by_role(trajectory: Trajectory, depth: int) -> dict[str, tuple[RoleTokens, ...]]:
    """Return the cumulative tokens of each role by step."""
    steps = (trajectory.first, *trajectory.steps)
    found: dict[str, tuple[RoleTokens, ...]] = {}
    for role in {call.role for step in steps for call in step.calls}:
        own = (sum((call.usage for call in step.calls if call.role == role), Usage()) for step in steps)
        spent = [(u.prompt_tokens, u.completion_tokens, u.cached_tokens) for u in accumulate(own)]
        found[role] = _padded(spent, depth)
    return found


def _mean_by_role(
    rows: Sequence[Mapping[str, tuple[RoleTokens, ...]]],
) -> dict[str, tuple[RoleTokens, ...]]:
    """Return the mean of *rows*; a role that a seed did not need has no tokens there."""
    found = {}
    for role, steps in {role: steps for row in rows for role, steps in row.items()}.items():
        none = ((0.0, 0.0, 0.0),) * len(steps)
        found[role] = tuple(_mean(of) for of in zip(*(row.get(role, none) for row in rows), strict=True))
    return found


def _critiques(step: Step) -> int:
    return sum(call.n for call in step.calls if not call.reads)


def _padded(values: Sequence[T], depth: int) -> tuple[T, ...]:
    """Return *values* by step up to *depth*; the last value is repeated for steps that were not run."""
    return (*values, *([values[-1]] * (depth + 1 - len(values))))


def _same_length(rows: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Return *rows* cut to the shortest: a rule may end the draw of one seed earlier."""
    size = min(map(len, rows))
    return [row[:size] for row in rows]


def _mean(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(fmean(values) for values in zip(*rows, strict=True))


def _sampling_key(method: Method, query: Query) -> str:
    """Return a hash of everything that decides the first samples, except their number and seed."""
    sampling = flat(replace(method.sampling, n=1))
    return request_hash(method.first_prompt(query), sampling)
