"""``--method feedback-history``: Feedback Descent (Lee, Boen, Finn 2025, arXiv 2511.07919).

The best response so far is compared with each challenger; the remarks of all comparisons since it became the
best are shown when the next challenger is written, and a win clears them. The paper's evaluator gives a
preference and a rationale; here the reward gives the preference and the policy writes the rationale
(role ``critic``). The paper proposes one challenger at a time; here a step draws N and the best of them is
the challenger, so that N and D mean what they mean for other methods.

Checked against an independent program, since none of the authors was found. That program writes the first
challenger, and the first one after each win, without any remark. Here a remark is asked first: on the best
and the worst of the first samples, as TPO's, and after a win on the new best and the former one. A step
without a readable response leaves the history as it is and asks for no remark.

Cost: at most 1 + 2D calls, N·(D + 1) + D completions. Note: prompts grow with the steps since the last win.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpo.methods.attempt import Attempt
from tpo.methods.contrast import contrast
from tpo.methods.method import Method, StepCall
from tpo.methods.wording import load_wording, numbered
from tpo.types import EDITOR, Candidate, Messages, Query, assistant, user


@dataclass(frozen=True, kw_only=True)
class FeedbackHistory(Method):
    """Feedback Descent: critiques accumulate until a response is better."""

    name: str = "feedback-history"

    async def optimize(self, attempt: Attempt) -> None:
        """Sample; D times compare the best with its challenger and rewrite it by all remarks so far."""
        query, history = attempt.query, list[str]()
        await attempt.sample(self.first_prompt(query), n=self.sample_size)
        best, other = (pair := contrast(attempt.pool)).chosen, pair.rejected
        is_new = True
        for _ in range(self.max_iterations):
            async with attempt.step() as step:
                if is_new:
                    remark = await step.ask("feedback", self.feedback_prompt(query, best, other))
                    history.append(remark.text)
                written = await step.sample(
                    "update",
                    self.update_prompt(query, best, history),
                    n=self.sample_size,
                    parents=[best],
                    role=EDITOR,
                )
                if is_new := bool(written):
                    challenger = max(written, key=lambda each: each.reward)
                    if challenger.reward > best.reward:
                        best, challenger = challenger, best
                        history.clear()
                    other = challenger if challenger.text != best.text else None

    def feedback_prompt(self, query: Query, best: Candidate, other: Candidate | None) -> Messages:
        """Ask why *best* was preferred to *other*, and what would still make it better."""
        values = {"query": query.text, "chosen": best.text}
        if other is None:
            request = self.wording.fill("alone", **values)
        else:
            request = self.wording.fill("won", other=other.text, **values)
        return (*query.messages, assistant(best.text), user(request))

    def update_prompt(self, query: Query, best: Candidate, history: Sequence[str]) -> Messages:
        """Ask for a rewriting of *best* that heeds every remark of *history*."""
        values = {"query": query.text, "chosen": best.text, "history": numbered("remark", history)}
        return (*query.messages, assistant(best.text), user(self.wording.fill("update", **values)))

    def step_calls(self, n: int) -> Sequence[StepCall]:
        """Return the remark's call and the update's."""
        return (StepCall("feedback", 1), StepCall("update", n, scored=True))


def feedback_history(prompts: Path | None = None, **shape: Any) -> FeedbackHistory:
    """Return Feedback Descent."""
    return FeedbackHistory(wording=load_wording("feedback_history", prompts), **shape)
