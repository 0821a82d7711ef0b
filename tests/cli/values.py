"""Small queries, candidates and trajectories to show."""

from __future__ import annotations

from collections.abc import Sequence

from tpo.types import (
    Candidate,
    Feedback,
    Message,
    Pair,
    Query,
    RewardUsage,
    Sampling,
    Score,
    Step,
    Timing,
    Trajectory,
    user,
)


def query(name: str, text: str = "Say hello.") -> Query:
    return Query(name, (user(text),))


def candidate(step: int, index: int, text: str, reward: float) -> Candidate:
    return Candidate(step, index, text, Score(reward))


def trajectory(
    name: str,
    candidates: Sequence[Candidate] = (),
    improved: Sequence[Candidate] = (),
    error: str | None = None,
) -> Trajectory:
    steps = (_step(candidates, improved),) if improved else ()
    return Trajectory(
        query=query(name),
        method="tpo",
        initial=tuple(candidates),
        steps=steps,
        status="failed" if error else "finished",
        stop_reason="error" if error else "max_iterations",
        error=error,
        usage={},
        reward_usage=RewardUsage(),
        timing=Timing(0.0, 1.0),
    )


def _step(candidates: Sequence[Candidate], improved: Sequence[Candidate]) -> Step:
    best = max(candidates, key=lambda c: c.reward)
    worst = min(candidates, key=lambda c: c.reward)
    said = Feedback((user("why?"),), "because")
    return Step(1, Pair(best, worst), said, said, (user("improve"),), tuple(improved))


def length_of(messages: list[Message], response: str) -> float:
    """A reward for ``--reward python:tests.cli.values:length_of``."""
    return float(len(response))


def shout(messages: list[Message], sampling: Sampling) -> str:
    """A policy for ``--policy python:tests.cli.values:shout``."""
    return str(messages[-1]["content"]).upper()
