"""What a line of ``trajectories.jsonl`` holds, declared once for readers in any language.

``python -m tpo.store.schema`` prints the JSON Schema that stands in the docs. Later versions may add keys
without another version number, so a reader leaves alone what it does not know.
"""

import json
import sys
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

Finish = Annotated[Literal["stop", "length", "other"], Field(description="Why the text ended.")]
Tokens = Annotated[int, Field(ge=0)]
SERVED = "Who wrote it; absent: a model in the run's own process."
CandidateId = Annotated[str, Field(pattern=r"^\d+\.\d+$", description="step.index; step 0: first samples")]


class MessageLine(BaseModel):
    """One turn of a conversation, with whatever other keys the data set or the server's form has."""

    model_config = {"extra": "allow"}
    role: str
    content: str | list[dict[str, Any]]


class QueryLine(BaseModel):
    """What was to be answered."""

    id: str
    messages: list[MessageLine]
    reference: str | None = None
    metadata: dict[str, Any]
    position: int | None = Field(None, ge=0, description="In the data, from 0; exports are in its order.")


class ServedLine(BaseModel):
    """Which server wrote a text, and what it was not given so that the call fits its context."""

    by: str = Field(description="The server's base URL.")
    max_tokens: int | None = Field(None, ge=1, description="The reply's limit, where it was lowered.")
    cut_turn: int | None = Field(None, ge=0, description="The message whose middle was left out.")
    cut_characters: int = Field(0, ge=0, description="How much of it; absent: nothing was.")


class CandidateLine(BaseModel):
    """A scored response."""

    id: CandidateId
    step: int = Field(ge=0)
    index: int = Field(ge=0, description="Among the samples of its step.")
    text: str
    reward: float
    finish_reason: Finish
    reward_tokens: Tokens = Field(description="Read to score it.")
    truncated_tokens: Tokens = Field(0, description="That the reward model could not read; absent: none.")
    parts: dict[str, float] | None = Field(None, description="Scores of an ensemble's members.")
    reasoning: str | None = Field(None, description="What a reasoning model thought before it.")
    served: ServedLine | None = Field(None, description=SERVED)


class FeedbackLine(BaseModel):
    """A textual loss or gradient: what went in (nothing: no call was made), what came out."""

    messages: list[MessageLine]
    text: str
    finish_reason: Finish
    served: ServedLine | None = Field(None, description=SERVED)


class UpdateLine(BaseModel):
    """What went into the update; what came out is among the candidates."""

    messages: list[MessageLine]


class MalformedLine(BaseModel):
    """An update from which no response could be read."""

    index: int = Field(ge=0)
    text: str
    finish_reason: Finish
    served: ServedLine | None = Field(None, description=SERVED)


class StepLine(BaseModel):
    """One iteration."""

    step: int = Field(ge=1)
    chosen: CandidateId
    rejected: CandidateId | None = Field(description="null: the pool held one text only")
    malformed: int = Field(ge=0, description="How many updates held no readable response.")
    malformed_updates: list[MalformedLine]
    loss: FeedbackLine
    gradient: FeedbackLine
    update: UpdateLine


class CallsLine(BaseModel):
    """What a phase's policy calls cost; empty: there were none."""

    calls: int = Field(0, ge=0)
    prompt_tokens: Tokens = 0
    cached_tokens: Tokens = Field(0, description="Part of prompt_tokens.")
    completion_tokens: Tokens = 0


class RewardCallsLine(BaseModel):
    """What scoring cost."""

    calls: int = Field(ge=0)
    tokens: Tokens


class UsageLine(BaseModel):
    """Costs by phase."""

    sample: CallsLine
    loss: CallsLine
    gradient: CallsLine
    update: CallsLine
    reward: RewardCallsLine


class TimingLine(BaseModel):
    """Seconds since the epoch."""

    started: float
    ended: float


class TrajectoryLine(BaseModel):
    """One query's way from its first samples to its best answer, whole or as far as it came."""

    model_config = {"title": "A line of trajectories.jsonl"}
    version: Literal[1] = Field(alias="schema")
    query: QueryLine
    method: str
    status: Literal["finished", "failed"]
    stop_reason: Literal["max_iterations", "no_parsable_update", "error"]
    error: str | None = Field(description="Why it failed.")
    best: CandidateId | None = Field(description="The answer; null: nothing was scored.")
    candidates: list[CandidateLine] = Field(description="The whole pool, first samples first.")
    steps: list[StepLine]
    usage: UsageLine
    timing: TimingLine


def json_schema() -> str:
    """The JSON Schema as the docs hold it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | TrajectoryLine.model_json_schema()
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(json_schema())
