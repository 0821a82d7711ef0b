"""Trajectories of every shape that the loop can make, texts of every kind that Python can hold."""

from hypothesis import strategies as st

from tpo.types import (
    Candidate,
    Feedback,
    FinishReason,
    Malformed,
    Message,
    Pair,
    Query,
    RewardUsage,
    Score,
    Served,
    Step,
    Timing,
    Trajectory,
    Usage,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
UTF8_TEXT = st.text(max_size=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**40)
SERVED = st.none() | st.builds(
    Served, UTF8_TEXT.filter(bool), st.none() | st.integers(1, 99), st.none() | st.integers(0, 9), COUNTS
)
REASONS: st.SearchStrategy[FinishReason] = st.sampled_from(["stop", "length", "other"])


def trajectories(texts: st.SearchStrategy[str] = ANY_TEXT) -> st.SearchStrategy[Trajectory]:
    return st.builds(_trajectory, st.data(), st.just(texts))


def _messages(texts: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[Message, ...]]:
    parts = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": texts}), max_size=2)
    roles = st.sampled_from(["system", "user", "assistant"])
    return st.lists(st.fixed_dictionaries({"role": roles, "content": texts | parts}), max_size=3).map(tuple)  # type: ignore[arg-type]  # dicts of a Message's form


def _trajectory(data: st.DataObject, texts: st.SearchStrategy[str]) -> Trajectory:
    initial = _candidates(data, texts, 0)
    steps = _steps(data, texts, initial) if initial else ()
    error = data.draw(st.none() | texts)
    usages = st.builds(Usage, st.integers(1, 9), COUNTS, COUNTS, COUNTS)
    return Trajectory(
        query=_query(data, texts),
        method=data.draw(texts),
        initial=initial,
        steps=steps,
        status="finished" if error is None else "failed",
        stop_reason=data.draw(st.sampled_from(["max_iterations", "no_parsable_update", "error"])),
        error=error,
        usage=data.draw(
            st.dictionaries(st.sampled_from(["sample", "loss", "gradient", "update"]), usages, max_size=4)
        ),
        reward_usage=RewardUsage(data.draw(COUNTS), data.draw(COUNTS)),
        timing=Timing(data.draw(FLOATS), data.draw(FLOATS)),
    )


def _query(data: st.DataObject, texts: st.SearchStrategy[str]) -> Query:
    plain = st.recursive(st.none() | st.booleans() | FLOATS | texts, st.lists, max_leaves=4)
    metadata = st.dictionaries(texts, plain, max_size=2)
    return Query(
        data.draw(texts), data.draw(_messages(texts)), data.draw(st.none() | texts), data.draw(metadata)
    )


def _candidates(data: st.DataObject, texts: st.SearchStrategy[str], step: int) -> tuple[Candidate, ...]:
    scores = st.builds(Score, FLOATS, COUNTS, COUNTS, st.dictionaries(texts, FLOATS, max_size=2))
    indices = sorted(data.draw(st.sets(st.integers(0, 12), max_size=3)))
    return tuple(
        Candidate(
            step,
            index,
            data.draw(texts),
            data.draw(scores),
            data.draw(REASONS),
            data.draw(st.none() | texts),
            data.draw(SERVED),
        )
        for index in indices
    )


def _steps(
    data: st.DataObject, texts: st.SearchStrategy[str], pool: tuple[Candidate, ...]
) -> tuple[Step, ...]:
    steps: list[Step] = []
    feedback = st.builds(Feedback, _messages(texts), texts, REASONS, SERVED)
    malformed = st.lists(st.builds(Malformed, st.integers(0, 12), texts, REASONS, SERVED), max_size=2).map(
        tuple
    )
    for number in range(1, data.draw(st.integers(1, 3))):
        one = st.sampled_from(pool)
        candidates = _candidates(data, texts, number)
        steps.append(
            Step(
                number,
                Pair(data.draw(one), data.draw(st.none() | one)),
                data.draw(feedback),
                data.draw(feedback),
                data.draw(_messages(texts)),
                candidates,
                data.draw(malformed),
            )
        )
        pool += candidates
    return tuple(steps)
