"""``--method fusion``: one call fuses the first samples (Khairi et al. 2025, arXiv 2510.00931).

The paper answers with the fused text. Here it is scored into the pool like any response, so fusion never
ends below best-of-N by the guiding reward. The paper's fusor is a model of its own, often a larger one: map
the role ``editor`` to another policy for that. No program of the authors was found. Open in the paper, chosen
here: the best sample stands as the model's own turn and the others follow it, in the order in which they were
drawn; of equal texts one is shown. Where all texts are equal, the call asks for a better one.

Cost: 2 calls and N + 1 completions. Note: the one call reads all N samples, so its prompt grows with N, and a
weak policy copies the longest sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.methods.attempt import Attempt
from tpo.methods.contrast import best_among_others
from tpo.methods.method import Method, StepCall
from tpo.methods.wording import load_wording
from tpo.types import EDITOR, Candidate, Messages, Query


@dataclass(frozen=True, kw_only=True)
class Fusion(Method):
    """Fusion of N samples; with D = 0 it is best-of-N."""

    name: str = "fusion"
    max_iterations: int = 1

    async def optimize(self, attempt: Attempt) -> None:
        """Sample N responses, and fuse those with different texts into one."""
        await attempt.sample(self.first_prompt(attempt.query), n=self.sample_size)
        for _ in range(self.max_iterations):
            async with attempt.step() as step:
                shown = _distinct(step.pool)
                await step.sample(
                    "fusion", self.fusion_prompt(attempt.query, shown), n=1, parents=shown, role=EDITOR
                )

    def fusion_prompt(self, query: Query, pool: Sequence[Candidate]) -> Messages:
        """Show the best of *pool* as the model's own turn and the others after it; ask for one answer."""
        return best_among_others(self.wording, query, pool, prompt="fusion", tag="answer")

    def step_calls(self, n: int) -> Sequence[StepCall]:
        """Return the one call that fuses."""
        del n
        return (StepCall("fusion", 1, scored=True),)


def _distinct(pool: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates of *pool* without later copies of a text."""
    found: dict[str, Candidate] = {}
    for each in pool:
        found.setdefault(each.text, each)
    return list(found.values())


def fusion(prompts: Path | None = None, **shape: Any) -> Fusion:
    """Return fusion of N samples; D is at most 1."""
    depth = min(1, shape.pop("max_iterations", 1))
    return Fusion(wording=load_wording("fusion", prompts), max_iterations=depth, **shape)
