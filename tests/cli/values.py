"""Small queries, candidates and trajectories to show."""

from __future__ import annotations

from collections.abc import Sequence

from tests.steps import first_step, tpo_step
from tpo.types import (
    Candidate,
    Message,
    Pair,
    Query,
    RewardUsage,
    Sampling,
    Score,
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
    best = max(candidates, key=lambda c: c.reward, default=None)
    worst = min(candidates, key=lambda c: c.reward, default=None)
    steps = (tpo_step(1, Pair(best, worst), improved),) if improved and best else ()
    return Trajectory(
        query=query(name),
        method="tpo",
        first=first_step(candidates),
        steps=steps,
        status="failed" if error else "finished",
        stop_reason="error" if error else "max_iterations",
        error=error,
        usage={},
        reward_usage=RewardUsage(),
        timing=Timing(0.0, 1.0),
    )


def length_of(messages: list[Message], response: str) -> float:
    """A reward for ``--reward python:tests.cli.values:length_of``."""
    return float(len(response))


def shout(messages: list[Message], sampling: Sampling) -> str:
    """A policy for ``--policy python:tests.cli.values:shout``."""
    return str(messages[-1]["content"]).upper()


def fails_but_at_the_probe(messages: object, response: str) -> float:
    """Fail for the responses of ``shout``, and quote the terminal's escape character."""
    if response.isupper():
        raise ValueError("\x1b[2J")
    return 1.0
