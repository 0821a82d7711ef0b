"""Best-of-N: N samples and no iterations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tpo.methods.attempt import Attempt
from tpo.methods.method import Method, StepCall
from tpo.methods.paper import behind_system_text
from tpo.types import Messages, Query


@dataclass(frozen=True, kw_only=True)
class BestOfN(Method):
    """Best-of-N; with a wording that has ``sample_system``, behind that system text. There are no steps."""

    name: str = "bon"
    max_iterations: int = 0

    async def optimize(self, attempt: Attempt) -> None:
        """Sample N responses."""
        await attempt.sample(self.first_prompt(attempt.query), n=self.sample_size)

    def first_prompt(self, query: Query) -> Messages:
        """Return the user's messages, behind a system text where the wording has one."""
        has_system = "sample_system" in self.wording.texts
        return behind_system_text(self.wording, query) if has_system else query.messages

    def step_calls(self, n: int) -> Sequence[StepCall]:
        """Return no calls: there are no steps."""
        del n
        return ()
