"""TPO with a rubric's failed criteria as the textual loss: no loss call, two round trips a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.errors import RewardRefused
from tpo.methods.attempt import Attempt
from tpo.methods.method import Method, StepCall
from tpo.methods.tags import tagged_response
from tpo.methods.wording import load_wording
from tpo.types import EDITOR, Call, Candidate, Messages, Query, assistant, user

MET = "criteria_met"
"""Stop reason where the chosen response meets every criterion."""
MET_FROM = 0.9
"""Degree from which a criterion counts as met."""
MOST_FAILED = 8
"""Failed criteria that a prompt names."""


@dataclass(frozen=True, kw_only=True)
class RubricTpo(Method):
    """The growing conversation of ``tpo``, the textual loss being read from the scores.

    It names the criteria that the chosen response fails, and shows the response of the pool that does best by
    them. An attempt ends early where the chosen response meets every criterion.
    """

    name: str = "rubric"

    async def optimize(self, attempt: Attempt) -> None:
        """Sample; D times read the failed criteria, ask for the textual gradient, and sample updates.

        Raises:
            RewardRefused: the scores have no criteria.
        """
        query = attempt.query
        await attempt.sample(self.first_prompt(query), n=self.sample_size)
        for _ in range(self.max_iterations):
            if not failed_criteria(max(attempt.pool, key=lambda each: each.reward)):
                attempt.stop(MET)
            async with attempt.step() as step:
                chosen = step.contrast().chosen
                sibling = best_sibling(chosen, step.pool)
                gradient = await step.ask("gradient", self.gradient_prompt(query, chosen, sibling))
                await step.sample(
                    "update",
                    self.update_prompt(query, chosen, gradient),
                    n=self.sample_size,
                    read=tagged_response,
                    parents=[chosen],
                    role=EDITOR,
                )

    def step_calls(self, n: int) -> Sequence[StepCall]:
        """Return the gradient's call and the updates'."""
        return (StepCall("gradient", 1), StepCall("update", n, scored=True))

    def gradient_prompt(self, query: Query, chosen: Candidate, sibling: Candidate | None) -> Messages:
        """Tell which criteria *chosen* fails and *sibling* meets better, and ask for instructions."""
        failed = failed_criteria(chosen)
        values = {"query": query.text, "chosen": chosen.text, "failed": _listed(failed)}
        if sibling is None:
            request = self.wording.fill("gradient_single", **values)
        else:
            met = {name: _criteria(sibling)[name] for name in failed if _is_better(name, sibling, chosen)}
            request = self.wording.fill("gradient", met=_listed(met), sibling=sibling.text, **values)
        return (*query.messages, assistant(chosen.text), user(request))

    def update_prompt(self, query: Query, chosen: Candidate, gradient: Call) -> Messages:
        """Ask for the improved response."""
        request = self.wording.fill("update", query=query.text, chosen=chosen.text)
        return (*gradient.messages, assistant(gradient.text), user(request))


def rubric(prompts: Path | None = None, **shape: Any) -> RubricTpo:
    """Return the method whose textual loss is the criteria that the chosen response fails."""
    return RubricTpo(wording=load_wording("rubric", prompts), **shape)


def failed_criteria(candidate: Candidate) -> dict[str, float]:
    """Return the criteria that *candidate* does not meet with their degrees, the least met first.

    Raises:
        RewardRefused: its score has no criteria.
    """
    failed = {name: degree for name, degree in _criteria(candidate).items() if degree < MET_FROM}
    return dict(sorted(failed.items(), key=lambda item: item[1])[:MOST_FAILED])


def best_sibling(chosen: Candidate, pool: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate that meets most of what *chosen* fails; None where none meets any of it better."""
    failed = failed_criteria(chosen)

    def gain(candidate: Candidate) -> float:
        criteria = _criteria(candidate)
        return sum(criteria[name] - failed[name] for name in failed if _is_better(name, candidate, chosen))

    best = max((each for each in pool if each.text != chosen.text), key=gain, default=None)
    return best if best is not None and gain(best) > 0 else None


def _is_better(name: str, sibling: Candidate, chosen: Candidate) -> bool:
    """Return whether *sibling* meets the criterion, rather than not, and better than *chosen* does."""
    degree = _criteria(sibling).get(name, 0.0)
    return degree >= 0.5 and degree > _criteria(chosen)[name]


def _criteria(candidate: Candidate) -> Mapping[str, float]:
    if candidate.score is None or not candidate.score.criteria:
        raise RewardRefused(
            "--method rubric reads the criteria of a score, and this reward gives none: use --reward"
            " rubric:FILE@URL or verify:NAME, alone or in an ensemble"
        )
    return candidate.score.criteria


def _listed(criteria: Mapping[str, float]) -> str:
    return "\n".join(f"- {name} (met to {degree:.0%})" for name, degree in criteria.items())
