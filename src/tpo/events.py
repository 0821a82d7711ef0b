"""What a run announces: past-tense values in one closed union. Listeners own showing and keeping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tpo.types import Candidate, Completion, Feedback, Malformed, Pair, Query, Scope, Trajectory


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins (or goes on): *total* queries if known, *finished* and *failed* of them earlier."""

    total: int | None
    finished: int
    failed: int


@dataclass(frozen=True, slots=True)
class QueryStarted:
    """A query left the queue."""

    query: Query


@dataclass(frozen=True, slots=True)
class Sampled:
    """The policy finished one completion, of whatever phase."""

    scope: Scope
    completion: Completion


@dataclass(frozen=True, slots=True)
class CandidateScored:
    """A response entered the pool."""

    query: Query
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class UpdateMalformed:
    """An update held no readable response."""

    query: Query
    step: int
    malformed: Malformed


@dataclass(frozen=True, slots=True)
class PairChosen:
    """A step's contrast was taken from the pool."""

    query: Query
    step: int
    pair: Pair


@dataclass(frozen=True, slots=True)
class LossWritten:
    """The textual loss of a step is there."""

    query: Query
    step: int
    loss: Feedback


@dataclass(frozen=True, slots=True)
class GradientWritten:
    """The textual gradient of a step is there."""

    query: Query
    step: int
    gradient: Feedback


@dataclass(frozen=True, slots=True)
class QueryEnded:
    """A query finished or failed; its trajectory says which."""

    trajectory: Trajectory


@dataclass(frozen=True, slots=True)
class CallRetried:
    """A call failed in a way that passes, and is tried again after *wait* seconds."""

    scope: Scope
    reason: str
    wait: float


@dataclass(frozen=True, slots=True)
class LimitChanged:
    """The adaptive limit of requests in flight to the policy's *server* is now *limit*."""

    server: str
    limit: int


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run came to its end, or was interrupted."""

    finished: int
    failed: int
    interrupted: bool


Event = (
    RunStarted
    | QueryStarted
    | Sampled
    | CandidateScored
    | UpdateMalformed
    | PairChosen
    | LossWritten
    | GradientWritten
    | QueryEnded
    | CallRetried
    | LimitChanged
    | RunEnded
)

Listener = Callable[[Event], None]
