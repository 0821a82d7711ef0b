"""A small trajectory that is easy to tell."""

from tpo.types import (
    Candidate,
    Feedback,
    Malformed,
    Pair,
    Query,
    RewardUsage,
    Score,
    Step,
    Timing,
    Trajectory,
    Usage,
    user,
)


def trajectory(query: str, *, error: str | None = None, reward: float = 1.0) -> Trajectory:
    """Two first samples, one step that adds a better one and a malformed update."""
    first = (Candidate(0, 0, "poor", Score(-1.0, 3)), Candidate(0, 1, "fair", Score(0.0, 3)))
    better = Candidate(1, 0, "better", Score(reward, 3))
    loss = Feedback((user("compare"),), "too short")
    gradient = Feedback((user("instruct"),), "write more")
    malformed = (Malformed(1, "no tags", "stop"),)
    step = Step(1, Pair(first[1], first[0]), loss, gradient, (user("rewrite"),), (better,), malformed)
    return Trajectory(
        query=Query(query, (user("a question"),)),
        method="tpo",
        initial=first,
        steps=(step,),
        status="finished" if error is None else "failed",
        stop_reason="max_iterations" if error is None else "error",
        error=error,
        usage={"sample": Usage(1, 2, 0, 2)},
        reward_usage=RewardUsage(3, 9),
        timing=Timing(10.0, 12.5),
    )
