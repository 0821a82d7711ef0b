"""Plan of a benchmark: its queries, its cells, and everything else that decides its results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tpo.config import Settings, make_method, policy_name
from tpo.errors import ConfigError, MissingExtra
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.graders.base import Answer, GradingContext
from tpo.experiments.bench.paper import closest_model
from tpo.experiments.bench.query_set import QuerySet
from tpo.experiments.cells import Cell, method_label
from tpo.experiments.plan import ExperimentPlan
from tpo.runs.inputs import QueryInput
from tpo.runs.plan import RunPlan
from tpo.store import read_trajectories
from tpo.types import Query, Trajectory

BEFORE, AFTER = "before", "after"
"""The first sample of the unaligned policy, and the final answer of the method."""


@dataclass(frozen=True, slots=True)
class CellAnswers:
    """Answers of a cell, before and after; *missing* counts queries without an answer."""

    by_when: Mapping[str, Sequence[Answer]]
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchPlan(ExperimentPlan):
    """Everything that decides a benchmark's results, and the paths of its files.

    Attributes:
        benchmark: the benchmark.
        query_set: its queries.
        context: judge, held-out reward and options of the grader.
        shows_paper: compare with the paper's numbers.
        paper_model: model of the paper's table to compare with; None: the closest one.
    """

    benchmark: Benchmark
    query_set: QuerySet
    context: GradingContext
    shows_paper: bool = False
    paper_model: str | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.context.options if name not in self.benchmark.options]
        if unknown:
            known = ", ".join(self.benchmark.options) or "none"
            raise ConfigError(
                f"--grader-option {unknown[0]}: {self.benchmark.name} has no such option; options: {known}"
            )

    def run_plan(self, cell: Cell) -> RunPlan:
        """Return the run of *cell*; a larger ``--limit`` extends it."""
        queries = self.query_set
        return RunPlan(
            settings=replace(self.settings, seed=cell.seed),
            method=cell.method,
            data=QueryInput(queries.source, queries.queries, queries.digest, len(queries.queries)),
            path=self.path(cell),
            fresh=self.fresh,
            identity={"benchmark": self.benchmark.name, "column": None},
            configuration={"benchmark": self.benchmark.name, "method": cell.method.name},
        )

    def check(self) -> None:
        """Raise, before any call, the errors that grading would raise.

        Raises:
            ConfigError: the judge is missing, an option is wrong, or the paper has no such model.
            MissingExtra: a library is not installed.
        """
        try:
            import numpy as np  # noqa: F401 - intervals need it, in a module that names another extra
        except ImportError as error:
            raise MissingExtra("numpy", "bench", "tpo bench") from error
        closest_model(policy_name(self.settings), self.paper_model)
        if self.benchmark.needs_judge:
            judge = self.benchmark.paper_judge
            self.context.need_judge(self.benchmark.name, f"the paper's is {judge}" if judge else "")
        if self.benchmark.check is not None:
            self.benchmark.check(self.context)

    def answers(self, cell: Cell) -> CellAnswers:
        """Return the answers of *cell* so far, in the order of the queries."""
        finished = {t.query.id: t for t in read_trajectories(self.path(cell)) if t.status == "finished"}
        pairs = [(query, finished[query.id]) for query in self.query_set.queries if query.id in finished]
        by_when = {
            when: [self._answer(cell, query, trajectory, when) for query, trajectory in pairs]
            for when in (BEFORE, AFTER)
        }
        return CellAnswers(by_when, len(self.query_set.queries) - len(pairs))

    def _answer(self, cell: Cell, query: Query, trajectory: Trajectory, when: str) -> Answer:
        candidate = trajectory.best
        if when == BEFORE:  # a blank sample is no candidate, but it is the unaligned policy's answer
            candidate = next((c for c in trajectory.first.candidates if c.index == 0), None)
        return Answer(
            query=query,
            text="" if candidate is None else candidate.text,
            seed=cell.seed,
            reward=None if candidate is None or candidate.score is None else candidate.reward,
            baseline=self.query_set.baselines.get(query.id),
            generator=f"{policy_name(self.settings)}, {cell.label}, {when}, seed {cell.seed}",
        )


def bench_cells(settings: Settings, methods: Sequence[str], seeds: Sequence[int]) -> tuple[Cell, ...]:
    """Return a cell for every one of *methods* with every one of *seeds*.

    Raises:
        ConfigError: a method is unknown, or two cells are the same.
    """
    reward = ", ".join(settings.reward)
    cells = []
    for name in methods:
        own = replace(settings, method=name)
        method = make_method(own)
        for seed in seeds:
            folder = re.sub(r"[^\w.]+", "-", f"{method_label(method)}-seed{seed}".lower()).strip("-.")
            cells.append(Cell(replace(own, seed=seed), method, seed, reward, folder))
    folders = [cell.folder for cell in cells]
    for folder in folders:
        if folders.count(folder) > 1:
            raise ConfigError(
                f"--method {','.join(methods)}: {folder} would run twice; name each method and seed once"
            )
    return tuple(cells)
