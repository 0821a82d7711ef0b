"""A trajectory and the line of ``trajectories.jsonl`` that it is: each makes the other, exactly.

What :mod:`tpo.store.schema` declares, these functions write. Candidates stand once, in a flat list; steps
name them by id. What JSON has no form for (a date in a query's metadata) is written as its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

from tpo.errors import StoreError
from tpo.store.jsonline import flat, plain
from tpo.types import (
    Call,
    Candidate,
    Messages,
    Pair,
    Phase,
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

SCHEMA = 2
"""The version that every file of a run carries; another one is refused."""

POLICY_PHASES: tuple[Phase, ...] = ("sample", "loss", "gradient", "update")

Record = dict[str, Any]


def trajectory_record(trajectory: Trajectory) -> Record:
    """*trajectory* in JSON's own types."""
    best = trajectory.best
    return {
        "schema": SCHEMA,
        "query": query_record(trajectory.query),
        "method": trajectory.method,
        "status": trajectory.status,
        "stop_reason": trajectory.stop_reason,
        "error": trajectory.error,
        "best": None if best is None else best.id,
        "candidates": [_candidate_record(candidate) for candidate in trajectory.candidates],
        "first": _step_record(trajectory.first),
        "steps": [_step_record(step) for step in trajectory.steps],
        "usage": {phase: flat(usage) for phase, usage in trajectory.usage.items()},
        "reward_usage": flat(trajectory.reward_usage),
        "timing": flat(trajectory.timing),
        "selection": trajectory.selection,
        "fallback": trajectory.fallback,
    }


def trajectory_from(record: Mapping[str, Any], place: object) -> Trajectory:
    """The trajectory that *record* holds; *place* is where it was read, for the error.

    Raises:
        StoreError: it is of another schema version, or something in it is missing or of the wrong kind.
    """
    check_schema(record, place)
    try:
        return _trajectory(record)
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        what = f"{type(error).__name__}: {error}"
        raise StoreError(f"{place}: not a whole trajectory ({what})") from error


def check_schema(record: Mapping[str, Any], place: object) -> None:
    """Refuse what another version of this package wrote at *place*.

    Raises:
        StoreError: *record* carries another version, or none.
    """
    if record.get("schema") != SCHEMA:
        found = record.get("schema", "none")
        raise StoreError(f"{place}: schema version {found}; this version of tpo reads version {SCHEMA} only")


def query_record(query: Query) -> Record:
    """*query* in JSON's own types."""
    record: Record = {"id": query.id, "messages": list(query.messages)}
    if query.reference is not None:
        record["reference"] = query.reference
    return record | {"metadata": plain(query.metadata)}


def score_record(score: Score) -> Record:
    """What is to say of *score* beyond its value, where there is something to say."""
    record: Record = {"reward_tokens": score.tokens}
    if score.truncated_tokens:
        record["truncated_tokens"] = score.truncated_tokens
    if score.parts:
        record["parts"] = dict(score.parts)
    return record


def score_from(value: float, record: Mapping[str, Any]) -> Score:
    """The score of *value* with what *record* says beyond it."""
    parts = {str(name): float(part) for name, part in record.get("parts", {}).items()}
    return Score(float(value), record["reward_tokens"], record.get("truncated_tokens", 0), parts)


def _candidate_record(candidate: Candidate) -> Record:
    record: Record = {
        "id": candidate.id,
        "step": candidate.step,
        "index": candidate.index,
        "call": candidate.call,
        "parents": list(candidate.parents),
        "text": candidate.text,
        "reward": None if candidate.score is None else candidate.reward,
        "finish_reason": candidate.finish_reason,
    }
    if candidate.score is not None:
        record |= score_record(candidate.score)
    if candidate.reasoning is not None:
        record["reasoning"] = candidate.reasoning
    return record | _served_record(candidate.served)


def _served_record(served: Served | None) -> Record:
    """What is to say of a text's server, where one is known; limits and cuts only where there were any."""
    if served is None:
        return {}
    told = {name: value for name, value in flat(served).items() if value is not None}
    if not served.cut_characters:
        del told["cut_characters"]
    return {"served": told}


def served_from(record: Mapping[str, Any]) -> Served | None:
    """The server of a text whose record this is; None if it tells none."""
    served = record.get("served")
    return None if served is None else Served(**served)


def _step_record(step: Step) -> Record:
    rejected = None if step.pair is None else step.pair.rejected
    return {
        "step": step.number,
        "chosen": None if step.pair is None else step.pair.chosen.id,
        "rejected": None if rejected is None else rejected.id,
        "calls": [asdict(call) for call in step.calls],
    }


def _trajectory(record: Mapping[str, Any]) -> Trajectory:
    pool = {item["id"]: _candidate(item) for item in record["candidates"]}
    return Trajectory(
        query=_query(record["query"]),
        method=record["method"],
        first=_step(record["first"], pool),
        steps=tuple(_step(item, pool) for item in record["steps"]),
        status=record["status"],
        stop_reason=record["stop_reason"],
        error=record["error"],
        usage={phase: Usage(**usage) for phase, usage in record["usage"].items()},
        reward_usage=RewardUsage(**record["reward_usage"]),
        timing=Timing(**record["timing"]),
        selection=record["selection"],
        selected=record["best"] if record["status"] == "finished" else None,
        fallback=record["fallback"],
    )


def _query(record: Mapping[str, Any]) -> Query:
    messages = _messages(record["messages"])
    return Query(record["id"], messages, record.get("reference"), record["metadata"])


def _messages(record: list[Any]) -> Messages:
    return cast("Messages", tuple(record))


def _candidate(record: Mapping[str, Any]) -> Candidate:
    score = None if record["reward"] is None else score_from(record["reward"], record)
    return Candidate(
        record["step"],
        record["index"],
        record["text"],
        score,
        record["finish_reason"],
        record.get("reasoning"),
        served_from(record),
        tuple(record["parents"]),
        record["call"],
    )


def _step(record: Mapping[str, Any], pool: Mapping[str, Candidate]) -> Step:
    chosen, rejected = record["chosen"], record["rejected"]
    return Step(
        number=record["step"],
        calls=tuple(_call(item) for item in record["calls"]),
        candidates=tuple(candidate for candidate in pool.values() if candidate.step == record["step"]),
        pair=None if chosen is None else Pair(pool[chosen], None if rejected is None else pool[rejected]),
    )


def _call(record: Mapping[str, Any]) -> Call:
    replies = tuple(Reply(**{**reply, "served": served_from(reply)}) for reply in record["replies"])
    values = {
        "messages": _messages(record["messages"]),
        "replies": replies,
        "usage": Usage(**record["usage"]),
    }
    return Call(**{**record, **values})
