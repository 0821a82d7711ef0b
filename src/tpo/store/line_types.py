"""Keys and types of a line of ``trajectories.jsonl``, from which its JSON Schema is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from tpo.types import (
    Call,
    FailureKind,
    FinishReason,
    Phase,
    Query,
    RewardUsage,
    Served,
    Status,
    StopReason,
    Timing,
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
    stop_reason: Annotated[
        StopReason, Field(description="max_iterations, method_ended, error, or a rule's name.")
    ]
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
    selection_usage: Annotated[Usage, Field(description="Of the judge that chose the answer.")] = field(
        default_factory=Usage
    )
