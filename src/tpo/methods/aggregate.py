"""``--method aggregate``: recursive self-aggregation (Venkatraman et al. 2025, arXiv 2509.26626).

A population of N responses. In each of D loops N calls each see a random subset of K members, drawn without
replacement, and write one better response; these are the next population. The paper takes the answer from
the last population at random or by a majority; here every response is scored and the best of the pool is
the answer. As in the paper, K is 4 by default (its N is 16, so choose a larger N than 5) and the reward does
not choose the subsets; the variant ``aggregate-weighted``, which is ours, draws better members more often.

Checked against the authors' program, which counts the first population as a loop: its T is D + 1. It shows a
subset in the order of the draw, in one message, and takes every reply. Here the best of a subset is the
model's own turn and the others follow in the order of the population; a loop in which some replies cannot be
read goes on with the members that can, and with the old population if none can.

Cost: 1 + N·D calls, N·(D + 1) completions. Note: each call reads K responses, so prompts cost K times those
of revision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from random import Random
from statistics import fmean, pstdev
from typing import Any

from tpo.methods.attempt import Attempt
from tpo.methods.branch import Branch
from tpo.methods.contrast import best_among_others
from tpo.methods.method import Method, StepCall
from tpo.methods.wording import load_wording
from tpo.types import EDITOR, Candidate, Messages, Query


@dataclass(frozen=True, kw_only=True)
class Aggregate(Method):
    """Recursive self-aggregation; *subset_size* is K. With *weighted*, the reward weighs the subsets."""

    name: str = "aggregate"
    subset_size: int = 4
    weighted: bool = False

    async def optimize(self, attempt: Attempt) -> None:
        """Sample the population; D times aggregate N random subsets of it into the next one."""
        query = attempt.query
        population = await attempt.sample(self.first_prompt(query), n=self.sample_size)
        for _ in range(self.max_iterations):
            async with attempt.step() as step:
                random = step.random("subset")
                subsets = [self._subset(random, population) for _ in range(self.sample_size)]
                written = await step.gather(
                    *(self._aggregated(step.branch(k), query, each) for k, each in enumerate(subsets, 1))
                )
                population = tuple(each for group in written for each in group) or population

    def aggregation_prompt(self, query: Query, subset: Sequence[Candidate]) -> Messages:
        """Show the best of *subset* as the model's own turn and the others after it; ask for a better one."""
        return best_among_others(self.wording, query, subset, prompt="aggregate", tag="attempt")

    def step_calls(self, n: int) -> Sequence[StepCall]:
        """Return a call for each of the *n* subsets."""
        return (StepCall("aggregate", 1, scored=True),) * n

    async def _aggregated(
        self, branch: Branch, query: Query, subset: Sequence[Candidate]
    ) -> tuple[Candidate, ...]:
        prompt = self.aggregation_prompt(query, subset)
        return await branch.sample("aggregate", prompt, n=1, parents=subset, role=EDITOR)

    def _subset(self, random: Random, population: Sequence[Candidate]) -> list[Candidate]:
        """Return K members of *population*, or all if they are fewer, in the order of *population*."""
        size = min(self.subset_size, len(population))
        weights = _weights(population) if self.weighted else [0.0] * len(population)
        # The K largest of log-weight plus Gumbel noise: a draw without replacement.
        keys = [weight - log(random.expovariate(1.0)) for weight in weights]
        drawn = sorted(range(len(population)), key=keys.__getitem__, reverse=True)[:size]
        return [population[index] for index in sorted(drawn)]


def _weights(population: Sequence[Candidate]) -> list[float]:
    """Return log-weights: rewards in units of their standard deviation."""
    rewards = [each.reward for each in population]
    center, spread = fmean(rewards), pstdev(rewards)
    return [(reward - center) / spread if spread else 0.0 for reward in rewards]


def aggregate(prompts: Path | None = None, **shape: Any) -> Aggregate:
    """Return recursive self-aggregation with uniform subsets, as in the paper."""
    return Aggregate(wording=load_wording("aggregate", prompts), **shape)


def aggregate_weighted(prompts: Path | None = None, **shape: Any) -> Aggregate:
    """Return our variant, whose subsets prefer members with a higher reward."""
    wording = load_wording("aggregate", prompts)
    return Aggregate(name="aggregate-weighted", weighted=True, wording=wording, **shape)
