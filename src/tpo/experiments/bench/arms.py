"""The arms of a benchmark: each method with each seed over the same queries, a run's directory each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.config import Settings, Setup, make_recipe
from tpo.config.identity import reward_identity, weights_of
from tpo.config.names import is_server
from tpo.errors import ConfigError
from tpo.events import Listener
from tpo.experiments.bench.asked import Asked
from tpo.experiments.bench.grading import Answer
from tpo.methods.method import Method
from tpo.rewards.base import Reward
from tpo.rewards.calibration import Scales
from tpo.runs import Retries, Summary, fingerprint, measured, run, scales_in
from tpo.store import RunDirectory, is_complete, read_run, read_trajectories
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
    recipes = [make_recipe(settings.model_copy(update={"method": method})) for method in methods]
    arms = tuple(Arm(recipe, seed) for recipe in recipes for seed in seeds)
    folders = [arm.folder for arm in arms]
    for folder in folders:
        if folders.count(folder) > 1:
            raise ConfigError(f"--method {','.join(methods)}: {folder} would be run twice; name each once")
    return arms


@dataclass(frozen=True, slots=True)
class Generation:
    """What an arm needs beside its models: the queries, what made them, and where its run is kept."""

    settings: Settings
    asked: Asked
    benchmark: str
    out: Path

    def path(self, arm: Arm) -> Path:
        """Of the run of *arm*."""
        return self.out / RUNS / arm.folder

    def is_complete(self, arm: Arm) -> bool:
        """Whether every query of *arm* is finished, so that no model need be loaded for it.

        Raises:
            StoreMismatch: the run there is of another configuration.
        """
        path = self.path(arm)
        if not (path / "run.json").exists():
            return False
        # Without the scales, which are measured with the models: an arm that is complete scores nothing.
        return is_complete(path, self._fingerprint(arm, None), self.asked.queries)

    async def generate(
        self,
        arm: Arm,
        setup: Setup,
        *,
        fresh: bool = False,
        listener: Listener | None = None,
        retries: Retries | None = None,
    ) -> Summary:
        """Run *arm* over the queries, or go on with it.

        Raises:
            TpoError: a fatal one; what is finished is kept.
        """
        configuration = self.settings.model_dump(mode="json")
        configuration |= {"benchmark": self.benchmark, "method": arm.recipe.name, "seed": arm.seed}
        configuration |= {"data": self.asked.source, "out": str(self.path(arm))}
        directory = RunDirectory.open(
            self.path(arm),
            configuration=configuration,
            fingerprint=self._fingerprint(arm, await self._scales(arm, setup.reward, fresh)),
            fresh=fresh,
        )
        async with directory:
            return await run(
                self.asked.queries,
                setup.policy,
                setup.reward,
                arm.recipe,
                directory,
                seed=arm.seed,
                concurrency=self.settings.concurrency,
                total=len(self.asked.queries),
                listener=listener,
                retries=retries,
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

    async def _scales(self, arm: Arm, reward: Reward, fresh: bool) -> Scales | None:
        """An ensemble's scales: of its file, or else of the run that is gone on with, or measured now."""
        from tpo.rewards.ensemble import Ensemble

        if not isinstance(reward, Ensemble):
            return None
        if not fresh and (self.path(arm) / "run.json").exists():
            reward.keep(scales_in(read_run(self.path(arm)).fingerprint))
        return await reward.scales()

    def _fingerprint(self, arm: Arm, scales: Scales | None) -> dict[str, Any]:
        """What may not change between invocations; a larger ``--limit`` may."""
        settings = self.settings
        return fingerprint(
            arm.recipe,
            seed=arm.seed,
            data=self.asked.digest,
            benchmark=self.benchmark,
            policy=policy_name(settings),
            policy_extra=settings.policy_extra,
            reward=reward_identity(settings),
            **measured(weights_of(settings), scales),
        )


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers by when; *missing* counts the queries that have none yet, or failed."""

    by_when: Mapping[str, Sequence[Answer]]
    missing: int


def policy_name(settings: Settings) -> str:
    """A server may move, its model may not."""
    policy = settings.policy[0]
    return (settings.model or policy) if is_server(policy) else policy
