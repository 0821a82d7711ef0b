"""``--method multi-loss`` and ``--method median``: other contrasts for TPO (arXiv 2501.12895).

The published code contrasts the best of the pool with the worst, and has no option for other contrasts; the
two variants are built here from their names. ``multi-loss``: the best is contrasted with each of the *losses*
worst texts, one textual loss each, asked at the same time; one gradient is taken of all of them. ``median``:
the rejected response is the middle one of the pool by reward, so that the loss names finer differences.

Cost of ``multi-loss`` with L losses: 1 + D·(L + 2) calls, N·(D + 1) + D·(L + 1) completions; of ``median``
that of ``tpo``. Note: the gradient of several losses reads all of them, and they overlap where the worst
responses have the same fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.methods.attempt import Attempt
from tpo.methods.branch import Branch
from tpo.methods.contrast import contrast
from tpo.methods.method import Method, StepCall
from tpo.methods.tpo import Tpo
from tpo.methods.wording import load_wording, numbered
from tpo.types import EDITOR, Call, Candidate, Messages, Pair, Query, assistant, user


@dataclass(frozen=True, kw_only=True)
class MultiLoss(Method):
    """TPO with *losses* textual losses a step, against as many rejected responses."""

    name: str = "multi-loss"
    losses: int = 3

    async def optimize(self, attempt: Attempt) -> None:
        """Sample; D times ask for several losses at once, one gradient of them, and sample updates."""
        query = attempt.query
        await attempt.sample(self.first_prompt(query), n=self.sample_size)
        for _ in range(self.max_iterations):
            async with attempt.step() as step:
                best = step.contrast().chosen
                rejected: list[Candidate | None] = [*worst_texts(step.pool, self.losses)] or [None]
                losses = await step.gather(
                    *(self._loss(step.branch(k), query, best, each) for k, each in enumerate(rejected, 1))
                )
                gradient = await step.ask("gradient", self.gradient_prompt(query, best, losses))
                await step.sample(
                    "update",
                    self.update_prompt(query, best, gradient),
                    n=self.sample_size,
                    parents=[best],
                    role=EDITOR,
                )

    def loss_prompt(self, query: Query, best: Candidate, rejected: Candidate | None) -> Messages:
        """Ask why *best* beats *rejected*, or, without one, where it falls short."""
        values = {"query": query.text, "chosen": best.text}
        if rejected is None:
            request = self.wording.fill("loss_single", **values)
        else:
            request = self.wording.fill("loss", rejected=rejected.text, **values)
        return (*query.messages, assistant(best.text), user(request))

    def gradient_prompt(self, query: Query, best: Candidate, losses: Sequence[str]) -> Messages:
        """Ask for the changes that all *losses* together ask for."""
        values = {"query": query.text, "chosen": best.text, "losses": numbered("assessment", losses)}
        return (*query.messages, assistant(best.text), user(self.wording.fill("gradient", **values)))

    def update_prompt(self, query: Query, best: Candidate, gradient: Call) -> Messages:
        """Ask for the improved response."""
        request = self.wording.fill("update", query=query.text, chosen=best.text)
        return (*gradient.messages, assistant(gradient.text), user(request))

    def step_calls(self, n: int) -> Sequence[StepCall]:
        """Return the losses' calls, the gradient's and the updates'."""
        return (
            *((StepCall("loss", 1),) * self.losses),
            StepCall("gradient", 1),
            StepCall("update", n, scored=True),
        )

    async def _loss(self, branch: Branch, query: Query, best: Candidate, rejected: Candidate | None) -> str:
        return (await branch.ask("loss", self.loss_prompt(query, best, rejected))).text


@dataclass(frozen=True, kw_only=True)
class MedianContrast(Tpo):
    """TPO against the middle response of the pool instead of the worst."""

    name: str = "median"

    def pair(self, pool: Sequence[Candidate]) -> Pair:
        """Return the best and the middle one of the other texts by reward, the lower of two."""
        chosen = contrast(pool).chosen
        others = worst_texts(pool, len(pool))
        return Pair(chosen, others[(len(others) - 1) // 2] if others else None)


def worst_texts(pool: Sequence[Candidate], count: int) -> list[Candidate]:
    """Return the *count* worst candidates of *pool*, one a text, the worst first, without the best."""
    best, found = contrast(pool).chosen, dict[str, Candidate]()
    for _, each in sorted(enumerate(pool), key=lambda placed: (placed[1].reward, -placed[0])):
        found.setdefault(each.text, each)
    found.pop(best.text)
    return list(found.values())[:count]


def multi_loss(prompts: Path | None = None, **shape: Any) -> MultiLoss:
    """Return TPO with several textual losses a step."""
    return MultiLoss(wording=load_wording("multi_loss", prompts), **shape)


def median_contrast(prompts: Path | None = None, **shape: Any) -> MedianContrast:
    """Return TPO against the middle response."""
    return MedianContrast(wording=load_wording("conversation", prompts), **shape)
