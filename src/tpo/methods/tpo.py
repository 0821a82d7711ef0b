"""TPO as one growing conversation: each call's prompt is a prefix of the next.

The query's own messages come first, unchanged, then the chosen response as the model's own turn. A server
with prefix caching reads every token once, and multi-turn, system and image messages need no quoting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tpo.methods.attempt import Attempt
from tpo.methods.contrast import contrast
from tpo.methods.method import Method
from tpo.methods.tags import tagged_response
from tpo.types import EDITOR, Call, Candidate, Completion, Messages, Pair, Query, assistant, user


@dataclass(frozen=True, kw_only=True)
class Tpo(Method):
    """TPO (paper, section 3), or with *shows_rejected* off the paper's revision baseline."""

    name: str = "tpo"
    shows_rejected: bool = True

    async def optimize(self, attempt: Attempt) -> None:
        """Sample; D times contrast, ask for the textual loss and gradient, and sample updates."""
        await attempt.sample(self.first_prompt(attempt.query), n=self.sample_size)
        await self.improve(attempt, self.max_iterations)

    async def improve(self, attempt: Attempt, steps: int) -> None:
        """Take *steps* steps."""
        query = attempt.query
        for _ in range(steps):
            async with attempt.step() as step:
                pair = step.contrast(self.pair)
                loss = await step.ask("loss", self.loss_prompt(query, pair))
                gradient = await step.ask("gradient", self.gradient_prompt(query, pair, loss))
                await step.sample(
                    "update",
                    self.update_prompt(query, pair, loss, gradient),
                    n=self.sample_size,
                    read=self.read_update,
                    parents=[pair.chosen],
                    role=EDITOR,
                )

    def pair(self, pool: Sequence[Candidate]) -> Pair:
        """Return the chosen and the rejected response: the best and the worst of *pool*."""
        return contrast(pool)

    def loss_prompt(self, query: Query, pair: Pair) -> Messages:
        """Ask why the chosen response beats the rejected one, or, without one, where it falls short."""
        if self.shows_rejected and pair.rejected is not None:
            request = self.wording.fill("loss", rejected=pair.rejected.text, **_common(query, pair))
        else:
            request = self.wording.fill("loss_single", **_common(query, pair))
        return (*query.messages, assistant(pair.chosen.text), user(request))

    def gradient_prompt(self, query: Query, pair: Pair, loss: Call) -> Messages:
        """Ask for instructions that improve the chosen response."""
        request = self.wording.fill("gradient", **_common(query, pair))
        return (*loss.messages, assistant(loss.text), user(request))

    def update_prompt(self, query: Query, pair: Pair, loss: Call, gradient: Call) -> Messages:
        """Ask for the improved response."""
        del loss  # it stands in the gradient call's messages already
        request = self.wording.fill("update", **_common(query, pair))
        return (*gradient.messages, assistant(gradient.text), user(request))

    def read_update(self, completion: Completion) -> str | None:
        """Return the improved response in *completion*, or None where there is none."""
        return tagged_response(completion)


def _common(query: Query, pair: Pair) -> dict[str, str]:
    return {"query": query.text, "chosen": pair.chosen.text}
