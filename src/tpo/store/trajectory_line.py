"""The line of ``trajectories.jsonl``: its keys, its JSON Schema, and the trajectory that it holds.

Candidates stand once, in a flat list; steps name them by id. A value that JSON has no form for (a date in a
query's metadata) is written as its text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace

from tpo.data.digest import query_digest
from tpo.errors import StoreError
from tpo.store.codec import SCHEMA, Codec, check_schema
from tpo.store.jsonline import from_line, is_sealed, plain, to_line, unseal_json
from tpo.store.line_types import CandidateLine, Head, StepLine, TrajectoryLine
from tpo.store.schema1 import lift
from tpo.types import (
    Candidate,
    Pair,
    Score,
    Step,
    Trajectory,
)

_JSON = json.JSONDecoder()
_LINE = Codec(TrajectoryLine)
_HEAD = Codec(Head)


def encode_trajectory(trajectory: Trajectory) -> bytes:
    """Return the line of *trajectory*.

    Raises:
        StoreError: it holds a reward that is no finite number, or a value that JSON has no form for.
    """
    return _LINE.encode(line_from_trajectory(trajectory))


def decode_trajectory(line: bytes) -> Trajectory:
    """Return the trajectory of *line*, of schema 1 as well.

    Raises:
        ValueError: the line is not as it was written, or holds no whole trajectory.
    """
    if not is_sealed(line):
        return trajectory_from_line(_lifted(line))
    encoded = unseal_json(line)
    try:
        return trajectory_from_line(_LINE.decode_json(encoded))
    except ValueError as error:
        version = from_line(encoded).get("schema")
        raise error if version == SCHEMA else ValueError(f"schema version {version}") from None


def line_from_trajectory(trajectory: Trajectory) -> TrajectoryLine:
    """Return the values that the line of *trajectory* holds.

    Raises:
        StoreError: a reward is no finite number.
    """
    best = trajectory.best
    return TrajectoryLine(
        schema=SCHEMA,
        id=trajectory.query.id,
        digest=query_digest(trajectory.query),
        status=trajectory.status,
        stop_reason=trajectory.stop_reason,
        iterations=len(trajectory.steps),
        query=replace(trajectory.query, metadata=plain(trajectory.query.metadata)),
        method=trajectory.method,
        best=None if best is None else best.id,
        candidates=tuple(_candidate_line(candidate) for candidate in trajectory.candidates),
        first=_step_line(trajectory.first),
        steps=tuple(_step_line(step) for step in trajectory.steps),
        usage=trajectory.usage,
        reward_usage=trajectory.reward_usage,
        timing=trajectory.timing,
        error=trajectory.error,
        selection=trajectory.selection,
        fallback=trajectory.fallback,
        failure=trajectory.failure,
        selection_usage=trajectory.selection_usage,
    )


def trajectory_from_line(line: TrajectoryLine) -> Trajectory:
    """Return the trajectory of *line*.

    Raises:
        ValueError: a step or the answer names a candidate that is not there.
    """
    pool = {each.id: _candidate(each) for each in line.candidates}
    try:
        return Trajectory(
            query=line.query,
            method=line.method,
            first=_step(line.first, pool),
            steps=tuple(_step(step, pool) for step in line.steps),
            status=line.status,
            stop_reason=line.stop_reason,
            error=line.error,
            usage=line.usage,
            reward_usage=line.reward_usage,
            timing=line.timing,
            selection=line.selection,
            selected=None if line.best is None else pool[line.best].id,
            fallback=line.fallback,
            failure=line.failure,
            selection_usage=line.selection_usage,
        )
    except KeyError as error:
        raise ValueError(f"there is no candidate {error}") from error


def decode_head(line: bytes, place: object) -> Head:
    """Return the head of *line*; of a line with a checksum, nothing else is decoded.

    Raises:
        ValueError: the line is not as it was written, or has no head.
        StoreError: a later version wrote it; *place* is where it stands.
    """
    if not is_sealed(line):
        whole = _lifted(line)
        return Head(*(getattr(whole, name) for name in Head.__slots__))
    head, _, _ = unseal_json(line).partition(b',"query":')
    head = head.removesuffix(b"}") + b"}"
    check_schema(from_line(head).get("schema"), place)
    return _HEAD.decode_json(head)


def decode_position(line: bytes) -> int | None:
    """Return the position of the query of *line* in the data, decoding its query only.

    Raises:
        ValueError: the line has no query.
    """
    if not is_sealed(line):
        return _lifted(line).query.position
    _, _, rest = line.partition(b',"query":')
    query, _ = _JSON.raw_decode(rest.decode())
    position = query.get("position")
    return position if isinstance(position, int) else None


def _lifted(line: bytes) -> TrajectoryLine:
    """Read a *line* of schema 1."""
    return _LINE.decode_json(to_line(lift(from_line(line))))


def json_schema() -> str:
    """Return the JSON Schema of a line as the docs hold it."""
    declared = _LINE.adapter.json_schema()
    declared["properties"]["crc"] = {
        "type": "integer",
        "description": 'CRC-32 of the bytes before `,"crc":`.',
    }
    declared["required"].append("crc")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(head | declared | {"title": "A line of trajectories.jsonl"}, indent=2) + "\n"


def _candidate_line(candidate: Candidate) -> CandidateLine:
    score = candidate.score or Score(math.nan)
    values = (score.value, *score.parts.values(), *score.criteria.values(), score.check or 0.0)
    if candidate.score is not None and not all(map(math.isfinite, values)):
        raise StoreError(f"candidate {candidate.id}: a reward must be a finite number; it is {score!r:.200}")
    return CandidateLine(
        id=candidate.id,
        step=candidate.step,
        index=candidate.index,
        text=candidate.text,
        reward=None if candidate.score is None else score.value,
        reward_tokens=score.tokens,
        truncated_tokens=score.truncated_tokens,
        parts=score.parts,
        criteria=score.criteria,
        check=score.check,
        finish_reason=candidate.finish_reason,
        reasoning=candidate.reasoning,
        served=candidate.served,
        parents=candidate.parents,
        call=candidate.call,
    )


def _candidate(line: CandidateLine) -> Candidate:
    score = None
    if line.reward is not None:
        score = Score(
            line.reward, line.reward_tokens, line.truncated_tokens, line.parts, line.criteria, line.check
        )
    return Candidate(
        line.step,
        line.index,
        line.text,
        score,
        line.finish_reason,
        line.reasoning,
        line.served,
        line.parents,
        line.call,
    )


def _step_line(step: Step) -> StepLine:
    chosen = None if step.pair is None else step.pair.chosen.id
    rejected = None if step.pair is None or step.pair.rejected is None else step.pair.rejected.id
    return StepLine(step.number, step.calls, chosen, rejected)


def _step(line: StepLine, pool: Mapping[str, Candidate]) -> Step:
    pair = None
    if line.chosen is not None:
        pair = Pair(pool[line.chosen], None if line.rejected is None else pool[line.rejected])
    candidates = tuple(candidate for candidate in pool.values() if candidate.step == line.step)
    return Step(line.step, line.calls, candidates, pair)
