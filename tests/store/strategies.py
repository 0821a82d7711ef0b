"""Trajectories of every shape that a method can make, texts of every kind that Python can hold."""

from dataclasses import replace

from hypothesis import strategies as st

from tpo.types import (
    Call,
    Candidate,
    FinishReason,
    Message,
    Pair,
    Query,
    Reply,
    RewardUsage,
    Score,
    Served,
    Step,
    Timing,
    Trajectory,
    Usage,
)

Texts = st.SearchStrategy[str]

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
UTF8_TEXT = st.text(max_size=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**40)
INTEGERS = st.integers(-(2**80), 2**80)
USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS)
SERVED = st.none() | st.builds(
    Served, UTF8_TEXT.filter(bool), st.none() | st.integers(1, 99), st.none() | st.integers(0, 9), COUNTS
)
REASONS: st.SearchStrategy[FinishReason] = st.sampled_from(["stop", "length", "other"])


def trajectories(texts: Texts = ANY_TEXT) -> st.SearchStrategy[Trajectory]:
    return st.builds(_trajectory, st.data(), st.just(texts))


def _messages(texts: Texts) -> st.SearchStrategy[tuple[Message, ...]]:
    parts = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": texts}), max_size=2)
    roles = st.sampled_from(["system", "user", "assistant"])
    form = st.fixed_dictionaries(
        {"role": roles, "content": texts | parts}, optional={"name": texts, "x": INTEGERS}
    )
    return st.lists(form, max_size=3).map(tuple)  # type: ignore[arg-type]  # dicts of a Message's form


def _trajectory(data: st.DataObject, texts: Texts) -> Trajectory:
    steps = _steps(data, texts)
    error = data.draw(st.none() | texts)
    trajectory = Trajectory(
        query=_query(data, texts),
        method=data.draw(texts),
        first=steps[0],
        steps=tuple(steps[1:]),
        status="finished" if error is None else "failed",
        stop_reason=data.draw(texts),
        error=error,
        usage=data.draw(st.dictionaries(texts, USAGES, max_size=4)),
        reward_usage=RewardUsage(data.draw(COUNTS), data.draw(COUNTS)),
        timing=Timing(data.draw(FLOATS), data.draw(FLOATS)),
        selection=data.draw(texts),
        fallback=data.draw(st.none() | texts),
    )
    best = data.draw(st.sampled_from(trajectory.pool)) if trajectory.pool else None
    return replace(trajectory, selected=None if best is None else best.id)


def _query(data: st.DataObject, texts: Texts) -> Query:
    plain = st.recursive(st.none() | st.booleans() | FLOATS | INTEGERS | texts, st.lists, max_leaves=4)
    metadata = st.dictionaries(texts, plain, max_size=2)
    return Query(
        data.draw(texts), data.draw(_messages(texts)), data.draw(st.none() | texts), data.draw(metadata)
    )


def _steps(data: st.DataObject, texts: Texts) -> list[Step]:
    pool: tuple[Candidate, ...] = ()
    steps: list[Step] = []
    calls = st.lists(_calls(texts), max_size=3).map(tuple)
    for number in range(data.draw(st.integers(1, 3))):
        pair = None
        if len(pool) > 0 and data.draw(st.booleans()):
            pair = Pair(data.draw(st.sampled_from(pool)), data.draw(st.none() | st.sampled_from(pool)))
        candidates = _candidates(data, texts, number, pool)
        pool += candidates
        steps.append(Step(number, data.draw(calls), candidates, pair))
    return steps


def _calls(texts: Texts) -> st.SearchStrategy[Call]:
    small = st.integers(0, 9)
    replies = st.lists(st.builds(Reply, small, texts, REASONS, st.none() | texts, SERVED), max_size=2).map(
        tuple
    )
    return st.builds(
        Call,
        texts,
        _messages(texts),
        small,
        COUNTS,
        texts,
        small,
        small,
        texts,
        st.booleans(),
        replies,
        USAGES,
    )


def _candidates(
    data: st.DataObject, texts: Texts, step: int, pool: tuple[Candidate, ...]
) -> tuple[Candidate, ...]:
    parts = st.dictionaries(texts, FLOATS, max_size=2)
    scores = st.none() | st.builds(Score, FLOATS, COUNTS, COUNTS, parts, parts)
    parents = st.lists(st.sampled_from([each.id for each in pool]), max_size=2) if pool else st.just([])
    places = st.sets(st.tuples(st.sampled_from(["", "0.update.1"]), st.integers(0, 12)), max_size=3)
    return tuple(
        Candidate(
            step,
            index,
            data.draw(texts),
            data.draw(scores),
            data.draw(REASONS),
            data.draw(st.none() | texts),
            data.draw(SERVED),
            tuple(data.draw(parents)),
            call,
        )
        for call, index in sorted(data.draw(places))
    )
