"""A trajectory and the line of ``trajectories.jsonl`` that it is: each makes the other, exactly.

What :mod:`tpo.store.schema` declares, these functions write. Candidates stand once, in a flat list; steps
name them by id. What JSON has no form for (a date in a query's metadata) is written as its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from tpo.errors import StoreError
from tpo.store.jsonline import flat, plain
from tpo.types import (
    Candidate,
    Feedback,
    Malformed,
    Messages,
    Pair,
    Phase,
    Query,
    RewardUsage,
    Score,
    Served,
    Step,
    Timing,
    Trajectory,
    Usage,
)

SCHEMA = 1
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
        "candidates": [_candidate_record(candidate) for candidate in trajectory.pool],
        "steps": [_step_record(step) for step in trajectory.steps],
        "usage": _usage_record(trajectory),
        "timing": flat(trajectory.timing),
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
    if query.position is not None:
        record["position"] = query.position
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
        "text": candidate.text,
        "reward": candidate.reward,
        "finish_reason": candidate.finish_reason,
    } | score_record(candidate.score)
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
    rejected = step.pair.rejected
    return {
        "step": step.number,
        "chosen": step.pair.chosen.id,
        "rejected": None if rejected is None else rejected.id,
        "malformed": len(step.malformed),
        "malformed_updates": [_malformed_record(malformed) for malformed in step.malformed],
        "loss": _feedback_record(step.loss),
        "gradient": _feedback_record(step.gradient),
        "update": {"messages": list(step.update)},
    }


def _feedback_record(feedback: Feedback) -> Record:
    return {
        "messages": list(feedback.messages),
        "text": feedback.text,
        "finish_reason": feedback.finish_reason,
    } | _served_record(feedback.served)


def _malformed_record(malformed: Malformed) -> Record:
    return {
        "index": malformed.index,
        "text": malformed.text,
        "finish_reason": malformed.finish_reason,
    } | _served_record(malformed.served)


def _usage_record(trajectory: Trajectory) -> Record:
    """By phase; a phase without calls is an empty object, so that every phase's key is there."""
    used = trajectory.usage
    record: Record = {phase: flat(used[phase]) if phase in used else {} for phase in POLICY_PHASES}
    return record | {"reward": flat(trajectory.reward_usage)}


def _trajectory(record: Mapping[str, Any]) -> Trajectory:
    pool = {item["id"]: _candidate(item) for item in record["candidates"]}
    return Trajectory(
        query=_query(record["query"]),
        method=record["method"],
        initial=_of_step(pool, 0),
        steps=tuple(_step(item, pool) for item in record["steps"]),
        status=record["status"],
        stop_reason=record["stop_reason"],
        error=record["error"],
        usage={phase: Usage(**record["usage"][phase]) for phase in POLICY_PHASES if record["usage"][phase]},
        reward_usage=RewardUsage(**record["usage"]["reward"]),
        timing=Timing(**record["timing"]),
    )


def _query(record: Mapping[str, Any]) -> Query:
    messages = _messages(record["messages"])
    return Query(record["id"], messages, record.get("reference"), record["metadata"], record.get("position"))


def _messages(record: list[Any]) -> Messages:
    return cast("Messages", tuple(record))


def _candidate(record: Mapping[str, Any]) -> Candidate:
    score = score_from(record["reward"], record)
    place = (record["step"], record["index"])
    reason, reasoning = record["finish_reason"], record.get("reasoning")
    return Candidate(*place, record["text"], score, reason, reasoning, served_from(record))


def _of_step(pool: Mapping[str, Candidate], number: int) -> tuple[Candidate, ...]:
    return tuple(candidate for candidate in pool.values() if candidate.step == number)


def _step(record: Mapping[str, Any], pool: Mapping[str, Candidate]) -> Step:
    rejected = record["rejected"]
    return Step(
        number=record["step"],
        pair=Pair(pool[record["chosen"]], None if rejected is None else pool[rejected]),
        loss=_feedback(record["loss"]),
        gradient=_feedback(record["gradient"]),
        update=_messages(record["update"]["messages"]),
        candidates=_of_step(pool, record["step"]),
        malformed=tuple(_malformed(item) for item in record["malformed_updates"]),
    )


def _malformed(record: Mapping[str, Any]) -> Malformed:
    return Malformed(**{**record, "served": served_from(record)})


def _feedback(record: Mapping[str, Any]) -> Feedback:
    messages = _messages(record["messages"])
    return Feedback(messages, record["text"], record["finish_reason"], served_from(record))
