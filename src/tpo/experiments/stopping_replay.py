"""Replay of stopping rules on recorded queries: a query that stops early is the start of the same query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tpo.methods.stopping import SampleCost, StoppingRule
from tpo.types import Candidate, Step, Trajectory, Usage


@dataclass(frozen=True)
class Prefix:
    """The start of a finished query, as a rule sees it when step *at* opens."""

    trajectory: Trajectory
    at: int

    @property
    def first(self) -> Step:
        """The first samples."""
        return self.trajectory.first

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps before *at*."""
        return self.trajectory.steps[: self.at - 1]

    @property
    def pool(self) -> tuple[Candidate, ...]:
        """The scored candidates so far."""
        return tuple(c for step in (self.first, *self.steps) for c in step.scored)

    @property
    def steps_before_fallback(self) -> int:
        """Number of steps before a fallback took over, which it does after the first."""
        return int(self.trajectory.fallback is not None)

    @property
    def usage(self) -> Usage:
        """Usage of the calls so far."""
        calls = (call for step in (self.first, *self.steps) for call in step.calls)
        return sum((call.usage for call in calls), Usage())


def stopped(trajectory: Trajectory, rules: Sequence[StoppingRule]) -> Prefix:
    """Return the part of *trajectory* that *rules* let it take; none of them may depend on time."""
    for at in range(1, len(trajectory.steps) + 1):
        prefix = Prefix(trajectory, at)
        if any(rule.should_stop(prefix) for rule in rules):  # type: ignore[arg-type]  # an attempt's look-alike
            return prefix
    return Prefix(trajectory, len(trajectory.steps) + 1)


def samples_drawn(rule: SampleCost, rewards: Sequence[float | None]) -> int:
    """Return the number of first samples that *rule* draws, in rounds; *rewards* has None for a blank one."""
    for count in range(rule.round_size, len(rewards), rule.round_size):
        if rule.is_worth_no_more([reward for reward in rewards[:count] if reward is not None]):
            return count
    return len(rewards)
