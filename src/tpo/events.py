"""Events of a run: past-tense values in one closed union. Listeners show them and keep them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tpo.types import Call, Candidate, Completion, Delta, Pair, Query, Reply, Scope, Trajectory


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run started or resumed: *total* queries if known, *finished* and *failed* of them earlier."""

    total: int | None
    finished: int
    failed: int


@dataclass(frozen=True, slots=True)
class QueryStarted:
    """A query left the queue."""

    query: Query


@dataclass(frozen=True, slots=True)
class StepStarted:
    """An iteration was opened; every earlier response is scored."""

    query: Query
    step: int


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The method made a policy call for *samples* completions."""

    scope: Scope
    samples: int


@dataclass(frozen=True, slots=True)
class TextWritten:
    """The policy wrote a piece of a completion; announced by ``tpo.Optimizer.stream`` alone."""

    scope: Scope
    delta: Delta


@dataclass(frozen=True, slots=True)
class Sampled:
    """The policy finished one completion, of any phase."""

    scope: Scope
    completion: Completion


@dataclass(frozen=True, slots=True)
class CandidateScored:
    """A response entered the pool."""

    query: Query
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class ScoringFailed:
    """A response got no score because of *reason*; it is kept without one."""

    query: Query
    candidate: Candidate
    reason: str


@dataclass(frozen=True, slots=True)
class UpdateMalformed:
    """A completion held no readable response."""

    query: Query
    step: int
    malformed: Reply


@dataclass(frozen=True, slots=True)
class PairChosen:
    """A step's contrast was taken from the pool."""

    query: Query
    step: int
    pair: Pair


@dataclass(frozen=True, slots=True)
class CritiqueWritten:
    """A call that samples no response has its reply: a textual loss, a textual gradient."""

    query: Query
    step: int
    call: Call


@dataclass(frozen=True, slots=True)
class QueryEnded:
    """A query finished or failed; its trajectory says which."""

    trajectory: Trajectory


@dataclass(frozen=True, slots=True)
class CallRetried:
    """A call failed temporarily; it is retried after *wait* seconds."""

    scope: Scope
    reason: str
    wait: float


@dataclass(frozen=True, slots=True)
class LimitChanged:
    """The adaptive limit of requests in flight to the policy's *server* is now *limit*."""

    server: str
    limit: int


@dataclass(frozen=True, slots=True)
class RunWarned:
    """A run under way shows that its method has no effect, or does harm; once for each *kind*."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run ended, or was interrupted."""

    finished: int
    failed: int
    interrupted: bool


Event = (
    RunStarted
    | QueryStarted
    | StepStarted
    | CallStarted
    | TextWritten
    | Sampled
    | CandidateScored
    | ScoringFailed
    | UpdateMalformed
    | PairChosen
    | CritiqueWritten
    | QueryEnded
    | CallRetried
    | LimitChanged
    | RunWarned
    | RunEnded
)

Listener = Callable[[Event], None]
