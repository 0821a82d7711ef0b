"""A small trajectory that is easy to tell."""

from tpo.types import (
    Call,
    Candidate,
    Pair,
    Query,
    Reply,
    RewardUsage,
    Score,
    Step,
    Timing,
    Trajectory,
    Usage,
    user,
)

QUESTION = (user("a question"),)


def trajectory(query: str, *, error: str | None = None, reward: float = 1.0) -> Trajectory:
    """Two first samples, one step that adds a better one and an update that cannot be read."""
    poor, fair = Candidate(0, 0, "poor", Score(-1.0, 3)), Candidate(0, 1, "fair", Score(0.0, 3))
    better = Candidate(1, 0, "better", Score(reward, 3), parents=("0.1",))
    calls = (
        Call("loss", (user("compare"),), seed=11, request="r1", replies=(Reply(0, "too short"),)),
        Call("gradient", (user("instruct"),), seed=12, request="r2", replies=(Reply(0, "write more"),)),
        Call("update", (user("rewrite"),), 2, 13, "r3", reads=True, replies=(Reply(1, "no tags"),)),
    )
    sample = Call("sample", QUESTION, 2, 10, "r0", reads=True, usage=Usage(1, 2, 0, 2))
    return Trajectory(
        query=Query(query, QUESTION),
        method="tpo",
        first=Step(0, (sample,), (poor, fair)),
        steps=(Step(1, calls, (better,), Pair(fair, poor)),),
        status="finished" if error is None else "failed",
        stop_reason="max_iterations" if error is None else "error",
        error=error,
        usage={"sample": Usage(1, 2, 0, 2)},
        reward_usage=RewardUsage(3, 9),
        timing=Timing(10.0, 12.5),
        selected=max((poor, fair, better), key=lambda each: each.reward).id,
    )
