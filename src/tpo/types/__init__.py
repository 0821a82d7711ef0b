"""Values that all packages share: messages, queries, completions, scores, candidates, trajectories."""

from __future__ import annotations

from tpo.types.calls import (
    CRITIC,
    EDITOR,
    JUDGE,
    WRITER,
    Call,
    Completion,
    Delta,
    ExtendedSampling,
    FinishReason,
    Phase,
    Reply,
    Sampling,
    Scope,
    Served,
    ToolCallCompletion,
    Usage,
    WeighedSampling,
)
from tpo.types.candidates import Candidate, Pair, Score
from tpo.types.messages import Message, Messages, Query, assistant, plain_text, system, user
from tpo.types.trajectory import FailureKind, RewardUsage, Status, Step, StopReason, Timing, Trajectory

__all__ = [
    "CRITIC",
    "EDITOR",
    "JUDGE",
    "WRITER",
    "Call",
    "Candidate",
    "Completion",
    "Delta",
    "ExtendedSampling",
    "FailureKind",
    "FinishReason",
    "Message",
    "Messages",
    "Pair",
    "Phase",
    "Query",
    "Reply",
    "RewardUsage",
    "Sampling",
    "Scope",
    "Score",
    "Served",
    "Status",
    "Step",
    "StopReason",
    "Timing",
    "ToolCallCompletion",
    "Trajectory",
    "Usage",
    "WeighedSampling",
    "assistant",
    "plain_text",
    "system",
    "user",
]
