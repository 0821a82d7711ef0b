"""Trajectories written by hand, for the exports to be held against."""

from tests.steps import first_step, tpo_step
from tpo.types import (
    Candidate,
    Pair,
    Query,
    Reply,
    RewardUsage,
    Score,
    Timing,
    Trajectory,
    system,
    user,
)


def candidate(step: int, index: int, text: str, reward: float) -> Candidate:
    return Candidate(step, index, text, Score(reward))


def finished(identity: str = "q0", prompt: str = "Why?") -> Trajectory:
    """Two first samples, one step with an update as good as new, one repeated and one malformed."""
    first = (candidate(0, 0, "because", -1.0), candidate(0, 1, "no idea", -3.0))
    step = tpo_step(
        1,
        Pair(first[0], first[1]),
        (candidate(1, 0, "because of rain", 2.5), candidate(1, 2, "because", -1.0)),
        (Reply(1, "oops", "length"),),
        loss=((system("compare"), user("both")), "the first has a reason"),
        gradient=((user("how?"),), "say more"),
    )
    return Trajectory(
        query=Query(identity, (user(prompt),), "rain", {"level": 1, "tags": ["é"]}),
        method="paper",
        first=first_step(first),
        steps=(step,),
        status="finished",
        stop_reason="max_iterations",
        error=None,
        usage={},
        reward_usage=RewardUsage(4, 40),
        timing=Timing(1.0, 2.0),
    )


def failed(identity: str = "q1") -> Trajectory:
    return Trajectory(
        query=Query(identity, (user("What?"),)),
        method="paper",
        first=first_step(()),
        steps=(),
        status="failed",
        stop_reason="error",
        error="the server is gone",
        usage={},
        reward_usage=RewardUsage(),
        timing=Timing(1.0, 2.0),
    )
