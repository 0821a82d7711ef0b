"""``--method ab-mcts``: adaptive branching tree search (Inoue et al. 2025, arXiv 2503.04412), variant A.

A tree of responses. From the root down, Thompson sampling decides at each node between a new child and one
of its children, by the rewards below each: "wider or deeper". A new child of the root is a first sample; a
new child of a response is a rewriting of it after a critique. As in the authors' code (treequest, AB-MCTS-A):
normal-inverse-gamma posteriors with the prior m 0, kappa 1, nu 1, tau^2 0.1; a new response counts for its
parent's "new child" and, for each response above it, for that response and for "deeper" where that response
hangs; a response's own reward counts for itself.

Open in the paper, chosen here: rewards must lie between 0 and 1, so a reward is put through a logistic curve
in units of the first samples' standard deviation; a step makes N choices from the same tree (the authors'
batch mode), so D steps draw N·D responses and N first samples start the tree; the critique says how many of
100 points the response got, which stands for the feedback of the paper's coding tasks.

Cost: at most 1 + 2·N·D calls, N·(2D + 1) completions. Note: made for budgets of many tens of calls; with
few steps it is little more than a random mixture of best-of-N and revision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, sqrt
from pathlib import Path
from random import Random
from statistics import fmean, pstdev
from typing import Any

from tpo.methods.attempt import Attempt
from tpo.methods.branch import Branch
from tpo.methods.method import Method, StepCall
from tpo.methods.tags import plain_response
from tpo.methods.wording import load_wording
from tpo.types import EDITOR, Candidate, Messages, Query, assistant, user

_M, _KAPPA, _NU, _TAU_SQUARE = 0.0, 1.0, 1.0, 0.1
"""The authors' prior."""


@dataclass(frozen=True, kw_only=True)
class AbMcts(Method):
    """Adaptive branching Monte Carlo tree search with node aggregation."""

    name: str = "ab-mcts"

    async def optimize(self, attempt: Attempt) -> None:
        """Sample the root's children; D times choose N nodes and write a child of each."""
        first = await attempt.sample(self.first_prompt(attempt.query), n=self.sample_size)
        points = _points([each.reward for each in first])
        for _ in range(self.max_iterations):
            async with attempt.step() as step:
                tree, random = Tree(step.pool, points), step.random("selection")
                chosen = Counter(tree.select(random) for _ in range(self.sample_size))
                by_id = {each.id: each for each in step.pool}
                await step.gather(
                    *(
                        self._wider(step.branch(k), attempt.query, count)
                        if node is None
                        else self._deeper(
                            step.branch(k), attempt.query, by_id[node], points(by_id[node].reward), count
                        )
                        for k, (node, count) in enumerate(chosen.items(), 1)
                    )
                )

    async def _wider(self, branch: Branch, query: Query, count: int) -> None:
        await branch.sample("sample", self.first_prompt(query), n=count, read=plain_response)

    async def _deeper(
        self, branch: Branch, query: Query, parent: Candidate, points: float, count: int
    ) -> None:
        critique = await branch.ask("critique", self.critique_prompt(query, parent, points))
        request = self.wording.fill("update", query=query.text, chosen=parent.text)
        prompt = (*critique.messages, assistant(critique.text), user(request))
        await branch.sample("update", prompt, n=count, parents=[parent], role=EDITOR)

    def critique_prompt(self, query: Query, parent: Candidate, points: float) -> Messages:
        """Say how many points, from 0 to 1, *parent* got and ask for the changes that would win more."""
        score = f"{100 * points:.0f}"
        request = self.wording.fill("critique", query=query.text, chosen=parent.text, score=score)
        return (*query.messages, assistant(parent.text), user(request))

    def step_calls(self, n: int) -> Sequence[StepCall]:
        """Return the calls of a step in which every choice goes deeper at a node of its own: the most."""
        return (StepCall("critique", 1), StepCall("update", 1, scored=True)) * n


class Tree:
    """Responses of *pool* under their parents; *points* maps a reward to a number from 0 to 1."""

    def __init__(self, pool: Sequence[Candidate], points: Callable[[float], float]) -> None:
        self._children: dict[str | None, list[str]] = {}
        self._points = {each.id: points(each.reward) for each in pool}
        for each in pool:
            self._children.setdefault(each.parents[0] if each.parents else None, []).append(each.id)

    def select(self, random: Random) -> str | None:
        """Return the id of the response that gets a new child; None for the root."""
        at: str | None = None
        while children := self._children.get(at):
            wider = [self._points[child] for child in children]
            deeper = [point for child in children for point in self.below(child)]
            if posterior_sample(random, wider) >= posterior_sample(random, deeper):
                return at
            draws = [
                posterior_sample(random, [self._points[child], *self.below(child)]) for child in children
            ]
            at = children[draws.index(max(draws))]
        return at

    def below(self, node: str) -> list[float]:
        """Return the points of all responses below *node*."""
        children = self._children.get(node, [])
        return [point for child in children for point in (self._points[child], *self.below(child))]


def posterior_sample(random: Random, seen: Sequence[float]) -> float:
    """Draw a mean from the normal-inverse-gamma posterior after the values *seen*."""
    count = len(seen)
    mean = fmean(seen) if seen else 0.0
    squares = sum((value - mean) ** 2 for value in seen)
    kappa, nu = _KAPPA + count, _NU + count
    center = (_KAPPA * _M + count * mean) / kappa
    scale = _NU * _TAU_SQUARE + squares + count * _KAPPA * (_M - mean) ** 2 / kappa  # nu times tau^2
    variance = scale / 2 / random.gammavariate(nu / 2, 1.0)
    return random.gauss(center, sqrt(variance / kappa))


def _points(first: Sequence[float]) -> Callable[[float], float]:
    """Return the map from rewards to points: a logistic curve around the first samples' mean."""
    center, spread = fmean(first), pstdev(first) or 1.0
    return lambda reward: 1 / (1 + exp(-max(-30.0, min(30.0, (reward - center) / spread))))


def ab_mcts(prompts: Path | None = None, **shape: Any) -> AbMcts:
    """Return adaptive branching tree search."""
    return AbMcts(wording=load_wording("ab_mcts", prompts), **shape)
