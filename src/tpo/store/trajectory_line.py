"""The line of ``trajectories.jsonl``: its keys, its JSON Schema, and the trajectory that it holds.

Candidates stand once, in a flat list; steps name them by id. A value that JSON has no form for (a date in a
query's metadata) is written as its text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import Field

from tpo.data.digest import query_digest
from tpo.errors import StoreError
from tpo.store.codec import SCHEMA, Codec, check_schema
from tpo.store.jsonline import from_line, is_sealed, plain, to_line, unseal_json
from tpo.store.schema1 import lift
from tpo.types import (
    Call,
    Candidate,
    FailureKind,
    FinishReason,
    Pair,
    Phase,
    Query,
    RewardUsage,
    Score,
    Served,
    Status,
    Step,
    StopReason,
    Timing,
    Trajectory,
    Usage,
)

CandidateId = Annotated[
    str,
    Field(pattern=r"^\d+\.\d+(-.+)?$", description="step.index, of a step's later calls step.index-call."),
]


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """A response of the pool, or one whose scoring failed."""

    id: CandidateId
    step: Annotated[int, Field(ge=0, description="0: first samples.")]
    index: Annotated[int, Field(ge=0, description="Among the samples of its call.")]
    text: str
    reward: Annotated[float | None, Field(description="Larger is better; null: scoring failed.")]
    reward_tokens: Annotated[int, Field(ge=0, description="Read to score it.")] = 0
    truncated_tokens: Annotated[int, Field(ge=0, description="That the reward model could not read.")] = 0
    parts: Annotated[Mapping[str, float], Field(description="Scores of an ensemble's members.")] = field(
        default_factory=dict
    )
    criteria: Annotated[Mapping[str, float], Field(description="Grades by criterion of a rubric.")] = field(
        default_factory=dict
    )
    check: Annotated[float | None, Field(description="Score of a reward that guides nothing.")] = None
    finish_reason: FinishReason = "stop"
    reasoning: Annotated[str | None, Field(description="The model's reasoning before the response.")] = None
    served: Served | None = None
    parents: Annotated[tuple[CandidateId, ...], Field(description="Candidates that its call was given.")] = ()
    call: Annotated[str, Field(description="Place of its call; empty: the step's first sampled call.")] = ""


@dataclass(frozen=True, slots=True)
class StepLine:
    """The calls of an iteration; its candidates stand in the flat list."""

    step: Annotated[int, Field(ge=0, description="0: first samples.")]
    calls: tuple[Call, ...] = ()
    chosen: CandidateId | None = None
    rejected: Annotated[CandidateId | None, Field(description="null: the pool held one text only.")] = None


@dataclass(frozen=True, slots=True)
class Head:
    """The keys at the start of a line, before ``query``: what opening a run reads."""

    schema: Literal[2]
    id: Annotated[str, Field(description="The query's id.")]
    digest: Annotated[str, Field(description="Digest of the query's content.")]
    status: Status
    stop_reason: Annotated[StopReason, Field(description="max_iterations, error, or a stopping rule's name.")]
    iterations: Annotated[int, Field(ge=0, description="Number of steps after the first samples.")]

    @property
    def finished(self) -> bool:
        """Return whether the query is finished."""
        return self.status == "finished"


@dataclass(frozen=True, slots=True)
class TrajectoryLine(Head):
    """A query's way from its first samples to its answer, whole or as far as it came."""

    query: Query
    method: str
    best: Annotated[CandidateId | None, Field(description="The answer; null: nothing was scored.")]
    candidates: Annotated[tuple[CandidateLine, ...], Field(description="First samples first.")]
    first: Annotated[StepLine, Field(description="The first samples.")]
    steps: tuple[StepLine, ...]
    usage: Annotated[Mapping[Phase, Usage], Field(description="Of policy calls, by phase.")]
    reward_usage: RewardUsage
    timing: Timing
    error: Annotated[str | None, Field(description="Why it failed.")] = None
    selection: Annotated[str, Field(description="Rule that chose the answer.")] = "reward"
    fallback: Annotated[str | None, Field(description="Method that spent the rest of the budget.")] = None
    failure: Annotated[
        FailureKind | None, Field(description="What it failed of; null: it did not, or is not recorded.")
    ] = None


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
