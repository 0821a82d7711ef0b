"""The arms of a benchmark: each method with each seed over the same queries, a run's directory each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tpo.config import Settings, make_recipe, policy_name
from tpo.errors import ConfigError
from tpo.experiments.bench.asked import Asked
from tpo.experiments.bench.grading import Answer
from tpo.methods.method import Method
from tpo.runs.inputs import QueryInput
from tpo.runs.plan import RunPlan
from tpo.store import read_trajectories
from tpo.types import Query, Trajectory

BEFORE, AFTER = "before", "after"
"""The first sample of the unaligned policy, and the final answer."""

RUNS = "runs"


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """One method with one seed; a key of what came of it, which its recipe could not be."""

    recipe: Method
    seed: int

    @property
    def method(self) -> str:
        """With its shape, as tables show it: ``tpo D2-N5``."""
        return f"{self.recipe.name} D{self.recipe.max_iterations}-N{self.recipe.sample_size}"

    @property
    def folder(self) -> str:
        """Of its run."""
        return re.sub(r"[^\w.]+", "-", f"{self.method}-seed{self.seed}".lower()).strip("-.")


def make_arms(settings: Settings, methods: Sequence[str], seeds: Sequence[int]) -> tuple[Arm, ...]:
    """Every one of *methods* with every one of *seeds*.

    Raises:
        ConfigError: a method is unknown, or two arms would be alike.
    """
    recipes = [make_recipe(replace(settings, method=method)) for method in methods]
    arms = tuple(Arm(recipe, seed) for recipe in recipes for seed in seeds)
    folders = [arm.folder for arm in arms]
    for folder in folders:
        if folders.count(folder) > 1:
            raise ConfigError(f"--method {','.join(methods)}: {folder} would be run twice; name each once")
    return arms


@dataclass(frozen=True, slots=True)
class Generation:
    """The queries and settings that all arms share, and the folder of their runs."""

    settings: Settings
    asked: Asked
    benchmark: str
    out: Path

    def path(self, arm: Arm) -> Path:
        """Return the run directory of *arm*."""
        return self.out / RUNS / arm.folder

    def run_plan(self, arm: Arm, *, fresh: bool = False) -> RunPlan:
        """Return the run of *arm*; a larger ``--limit`` extends it."""
        asked = self.asked
        return RunPlan(
            settings=replace(self.settings, seed=arm.seed),
            recipe=arm.recipe,
            data=QueryInput(asked.source, asked.queries, asked.digest, len(asked.queries)),
            path=self.path(arm),
            fresh=fresh,
            identity={"benchmark": self.benchmark, "column": None},
            configuration={"benchmark": self.benchmark, "method": arm.recipe.name},
        )

    def answers(self, arm: Arm) -> Answers:
        """What *arm* has answered so far, in the order of the queries."""
        there = {t.query.id: t for t in read_trajectories(self.path(arm)) if t.status == "finished"}
        finished = [there[query.id] for query in self.asked.queries if query.id in there]
        by = {query.id: query for query in self.asked.queries}
        return Answers(
            {
                when: [self._answer(arm, by[t.query.id], t, when) for t in finished]
                for when in (BEFORE, AFTER)
            },
            len(self.asked.queries) - len(finished),
        )

    def _answer(self, arm: Arm, query: Query, trajectory: Trajectory, when: str) -> Answer:
        candidate = trajectory.initial[0] if when == BEFORE else trajectory.best
        assert candidate is not None  # noqa: S101 - a finished trajectory has a pool
        return Answer(
            query=query,
            text=candidate.text,
            seed=arm.seed,
            reward=candidate.reward,
            baseline=self.asked.baselines.get(query.id),
            generator=f"{policy_name(self.settings)}, {arm.method}, {when}, seed {arm.seed}",
        )


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers by when; *missing* counts the queries that have none yet, or failed."""

    by_when: Mapping[str, Sequence[Answer]]
    missing: int
