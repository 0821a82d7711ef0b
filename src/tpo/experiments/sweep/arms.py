"""What the cells came to, in numbers: cells that differ in their seed alone are an arm, averaged by query.

Intervals and tests are over queries, so seeds are averaged first: a query is one observation, however many
seeds it was asked with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import fmean

from tpo.experiments.sweep.checking import watched
from tpo.experiments.sweep.grid import Cell
from tpo.methods.method import Method
from tpo.report.measures import QueryMeasures, measure
from tpo.report.statistics import expected_best
from tpo.store.journal import request_hash
from tpo.store.jsonline import flat
from tpo.types import Query, Step, Trajectory

Checked = Callable[[Query, str], float | None]
"""The held-out score of a response, where it has one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One query of an arm, averaged over seeds; a tuple by step has D + 1 entries, step 0 first.

    Attributes:
        first: reward of the first sample of all: the unaligned answer.
        best_of: expected best of n of the first samples, n = 1 to N.
        best: reward of the best of the pool after each step; a query that stopped early keeps its best.
        read: prompt tokens up to and with each step.
        written: completion tokens, likewise.
        calls: samples and critiques, likewise.
        sample_read: prompt tokens of the first samples.
        sample_written: completion tokens of the first samples.
        check_first: held-out score of the first sample; None where there is none.
        check: held-out score of the best after each step; empty where one of them has none.
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

    @property
    def answer(self) -> float:
        """The reward of the final answer."""
        return self.best[-1]


@dataclass(frozen=True, slots=True)
class Arm:
    """A method with its N and D under one reward, over all seeds.

    Attributes:
        label: as tables show it: ``tpo D2-N5``.
        recipe: the method.
        reward: the one that guided.
        seeds: all that it was run with.
        rows: by query, those that every seed has finished.
        missing: queries that some seed has not.
        draws: equal for arms that draw their first samples alike.
    """

    label: str
    recipe: Method
    reward: str
    seeds: tuple[int, ...]
    rows: Mapping[str, Row]
    missing: int
    draws: str

    @property
    def method(self) -> str:
        """Its name alone."""
        return self.recipe.name

    @property
    def n(self) -> int:
        """Samples of a step."""
        return self.recipe.sample_size

    @property
    def depth(self) -> int:
        """Iterations."""
        return self.recipe.max_iterations


def make_arms(
    cells: Sequence[Cell],
    queries: Sequence[Query],
    read: Callable[[Cell], Iterable[Trajectory]],
    checked: Checked | None = None,
) -> tuple[Arm, ...]:
    """The arms of *cells*, whose trajectories *read* gives, over *queries*.

    *checked* gives held-out scores. Reads one run at a time, and keeps numbers alone.
    """
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.reward, cell.label), []).append(cell)
    return tuple(_arm(group, queries, read, checked) for group in groups.values())


def _arm(
    cells: Sequence[Cell],
    queries: Sequence[Query],
    read: Callable[[Cell], Iterable[Trajectory]],
    checked: Checked | None,
) -> Arm:
    asked = {query.id for query in queries}
    by_query: dict[str, list[Row]] = {}
    for cell in cells:
        for trajectory in read(cell):
            if trajectory.query.id in asked and trajectory.status == "finished" and trajectory.initial:
                rows = by_query.setdefault(trajectory.query.id, [])
                rows.append(row_of(trajectory, cell.recipe.max_iterations, checked))
    whole = {q.id: averaged(by_query[q.id]) for q in queries if len(by_query.get(q.id, ())) == len(cells)}
    first = cells[0]
    seeds = tuple(cell.seed for cell in cells)
    missing = len(queries) - len(whole)
    return Arm(
        first.label, first.recipe, first.reward, seeds, whole, missing, _draws(first.recipe, queries[0])
    )


def row_of(trajectory: Trajectory, depth: int, checked: Checked | None = None) -> Row:
    """The numbers of one finished *trajectory* of *depth* iterations."""
    numbers = measure(trajectory)
    steps = numbers.steps
    critiques = [0, *(_critiques(step) for step in trajectory.steps)]
    calls = accumulate(step.drawn + asked for step, asked in zip(steps, critiques, strict=True))
    row = Row(
        first=trajectory.initial[0].reward,
        best_of=tuple(expected_best([steps[0].rewards])[0]),
        best=_padded([step.best or 0.0 for step in steps], depth),
        read=_padded([step.read for step in steps], depth),
        written=_padded([step.written for step in steps], depth),
        calls=_padded([float(count) for count in calls], depth),
        sample_read=_sampling(numbers)[0],
        sample_written=_sampling(numbers)[1],
    )
    return row if checked is None else _with_check(row, trajectory, depth, checked)


def averaged(rows: Sequence[Row]) -> Row:
    """One row of those of several seeds; held-out scores only where every seed has them."""
    has_check = all(row.check for row in rows)
    firsts = [row.check_first for row in rows if row.check_first is not None]
    return Row(
        first=fmean(row.first for row in rows),
        best_of=_mean([row.best_of for row in rows]),
        best=_mean([row.best for row in rows]),
        read=_mean([row.read for row in rows]),
        written=_mean([row.written for row in rows]),
        calls=_mean([row.calls for row in rows]),
        sample_read=fmean(row.sample_read for row in rows),
        sample_written=fmean(row.sample_written for row in rows),
        check_first=fmean(firsts) if has_check and len(firsts) == len(rows) else None,
        check=_mean([row.check for row in rows]) if has_check else (),
    )


def widest(arms: Iterable[Arm]) -> list[Arm]:
    """Of arms that draw alike under one reward, the one with the largest pool of first samples."""
    found: dict[tuple[str, str], Arm] = {}
    for arm in arms:
        key = (arm.reward, arm.draws)
        if arm.rows and (key not in found or arm.n > found[key].n):
            found[key] = arm
    return list(found.values())


def _with_check(row: Row, trajectory: Trajectory, depth: int, checked: Checked) -> Row:
    values = [checked(trajectory.query, each.text) for each in watched(trajectory)]
    there = [value for value in values if value is not None]
    if len(there) < len(values):
        return row
    return replace(row, check_first=there[0], check=_padded(there[1:], depth))


def _sampling(numbers: QueryMeasures) -> tuple[float, float]:
    return float(numbers.sample_read), float(numbers.sample_written)


def _critiques(step: Step) -> int:
    return sum(call.n for call in step.calls if not call.reads)


def _padded(values: Sequence[float], depth: int) -> tuple[float, ...]:
    """*values* by step up to *depth*, the last one standing for the steps that were not made."""
    return (*values, *([values[-1]] * (depth + 1 - len(values))))


def _mean(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(fmean(values) for values in zip(*rows, strict=True))


def _draws(recipe: Method, query: Query) -> str:
    """What decides the first samples but their number and seed."""
    sampling = flat(replace(recipe.sampling, n=1))
    return request_hash(recipe.first_prompt(query), sampling)
