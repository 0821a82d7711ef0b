"""Fallbacks: spend the rest of a query's budget otherwise when no update of its first step is readable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from tpo.methods.attempt import Attempt
from tpo.methods.method import Method
from tpo.methods.seeds import stride_of
from tpo.methods.tpo import Tpo
from tpo.methods.wording import load_wording
from tpo.types import Usage

MOST_SAMPLES = 128
"""Most samples that the fallback ``best-of-n`` draws: as many as OpenAI's API takes in a request."""


class Fallback(Protocol):
    """A way to spend the rest of a budget."""

    @property
    def name(self) -> str:
        """Its name in the record."""
        ...

    async def finish(self, attempt: Attempt, method: Method) -> None:
        """Spend what *method* would have spent in its remaining steps."""
        ...


@dataclass
class NoReadableUpdate:
    """Stopping rule for a fallback: speaks once, when the first step had updates and none was readable."""

    name: ClassVar[str] = "no_readable_update"
    spoken: bool = False

    def should_stop(self, attempt: Attempt) -> bool:
        """Return whether the fallback takes over now."""
        if self.spoken or len(attempt.steps) != 1 or attempt.at != 2:
            return False
        step = attempt.steps[0]
        self.spoken = bool(step.unreadable) and not step.candidates
        return self.spoken


@dataclass(frozen=True)
class BestOfNFallback:
    """Draw more first samples: as many as the completion tokens of the remaining steps buy, at most 128.

    Their seeds stay below those of the next call.
    """

    name: ClassVar[str] = "best-of-n"

    async def finish(self, attempt: Attempt, method: Method) -> None:
        """Continue the first draw."""
        steps_left = method.max_iterations - len(attempt.steps)
        drawn = next(call for call in reversed(attempt.first.calls) if call.reads)
        step, first = _written(attempt, 1), _written(attempt, 0)
        if step and first:
            count = int(steps_left * step * drawn.n / first)
        else:  # the server does not count tokens
            done = method.cost(method.sample_size, len(attempt.steps)).completions
            count = method.cost(method.sample_size, method.max_iterations).completions - done
        count = min(count, MOST_SAMPLES, stride_of(drawn.n) - drawn.n)
        if count > 0:
            await attempt.sample(drawn.messages, n=count, start=drawn.n)


@dataclass(frozen=True)
class RevisionFallback:
    """Take the remaining steps by ``revision``, which never shows the rejected response.

    It has the texts of ``tpo`` and ``revision``, replaced ones included; after a method of another layout,
    the shipped ones.
    """

    name: ClassVar[str] = "revision"

    async def finish(self, attempt: Attempt, method: Method) -> None:
        """Take the remaining steps."""
        revision = Tpo(
            name=self.name,
            shows_rejected=False,
            wording=method.wording if type(method) is Tpo else load_wording("conversation"),
            sample_size=method.sample_size,
            max_iterations=method.max_iterations,
        )
        await revision.improve(attempt, method.max_iterations - len(attempt.steps))


FALLBACKS: Mapping[str, Fallback] = {
    fallback.name: fallback for fallback in (BestOfNFallback(), RevisionFallback())
}


def _written(attempt: Attempt, step: int) -> int:
    """Return the completion tokens of *step*."""
    calls = attempt.steps[step - 1].calls if step else attempt.first.calls
    return sum((call.usage for call in calls), Usage()).completion_tokens
