"""Outcome: the reply to a request, in no API's form yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tpo.types import Candidate, Completion, Phase, ToolCallCompletion, Trajectory, Usage


@dataclass(frozen=True, slots=True)
class Outcome:
    """The reply to a request.

    Attributes:
        id: the trajectory's id.
        answers: the choices, best first.
        usage: policy usage by phase.
        stop_reason: why the attempt ended.
        trajectory: the whole record; None of a request that was passed on.
        degraded: whether a model failed and this is the best that could be had.
    """

    id: str
    answers: tuple[Candidate | Completion, ...]
    usage: Mapping[Phase, Usage]
    stop_reason: str
    trajectory: Trajectory | None = None
    degraded: bool = False

    @property
    def total(self) -> Usage:
        """The whole usage of policies."""
        return sum(self.usage.values(), Usage())

    @property
    def tool_calls(self) -> tuple[Mapping[str, Any], ...]:
        """The tool calls of the reply, if it is one."""
        first = self.answers[0]
        return first.tool_calls if isinstance(first, ToolCallCompletion) else ()

    @property
    def gain(self) -> float | None:
        """Best reward minus the first sample's; None where either is unknown."""
        if self.trajectory is None or self.trajectory.best is None:
            return None
        first = next((c for c in self.trajectory.initial if c.index == 0), None)
        return None if first is None else self.trajectory.best.reward - first.reward


def best_of(pool: Sequence[Candidate], n: int, best: Candidate | None = None) -> tuple[Candidate, ...]:
    """Return the *n* best candidates of *pool*, each text once if there are enough, *best* first."""
    ranked = sorted(pool, key=lambda c: (c is not best, -c.reward))
    distinct = list({candidate.text: candidate for candidate in reversed(ranked)}.values())[::-1]
    distinct.sort(key=ranked.index)
    again = [candidate for candidate in ranked if candidate not in distinct]
    return tuple((distinct + again)[:n])
