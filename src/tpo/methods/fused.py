"""TPO with loss and gradient in one call: two round trips a step instead of three."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tpo.methods.attempt import Attempt
from tpo.methods.method import Method, StepCall
from tpo.methods.tags import tagged_response
from tpo.types import EDITOR, Call, Messages, Pair, Query, assistant, user


@dataclass(frozen=True, kw_only=True)
class Fused(Method):
    """The growing conversation of ``tpo``; one request asks for the comparison and the instructions."""

    name: str = "fused"

    async def optimize(self, attempt: Attempt) -> None:
        """Sample; D times contrast, ask for the critique, and sample updates."""
        query = attempt.query
        await attempt.sample(self.first_prompt(query), n=self.sample_size)
        for _ in range(self.max_iterations):
            async with attempt.step() as step:
                pair = step.contrast()
                critique = await step.ask("gradient", self.critique_prompt(query, pair))
                await step.sample(
                    "update",
                    self.update_prompt(query, pair, critique),
                    n=self.sample_size,
                    read=tagged_response,
                    parents=[pair.chosen],
                    role=EDITOR,
                )

    def step_calls(self, n: int) -> Sequence[StepCall]:
        """Return the critique's call and the updates'."""
        return (StepCall("gradient", 1), StepCall("update", n, scored=True))

    def critique_prompt(self, query: Query, pair: Pair) -> Messages:
        """Ask for a comparison of the chosen response with the rejected one and for the changes to make."""
        values = {"query": query.text, "chosen": pair.chosen.text}
        if pair.rejected is not None:
            request = self.wording.fill("critique", rejected=pair.rejected.text, **values)
        else:
            request = self.wording.fill("critique_single", **values)
        return (*query.messages, assistant(pair.chosen.text), user(request))

    def update_prompt(self, query: Query, pair: Pair, critique: Call) -> Messages:
        """Ask for the improved response."""
        request = self.wording.fill("update", query=query.text, chosen=pair.chosen.text)
        return (*critique.messages, assistant(critique.text), user(request))
