"""Policy call of a step, from its request to its record."""

from __future__ import annotations

from dataclasses import dataclass, field

from tpo.errors import StoreError
from tpo.store.journal import request_hash
from tpo.store.jsonline import flat
from tpo.types import Call, Candidate, Completion, Messages, Reply, Sampling, Scope, Usage


@dataclass(eq=False)
class OpenCall:
    """A policy call of a step and what it has brought so far, by sample index.

    A draw that is continued is the same call; *draws* holds the usage of its parts by their first index.
    *name* is what its candidates' ids append. *unscored* is why the last response without a score has none.
    """

    scope: Scope
    messages: Messages
    sampling: Sampling
    request: str
    reads: bool = False
    parents: tuple[str, ...] = ()
    name: str = ""
    candidates: dict[int, Candidate] = field(default_factory=dict)
    replies: dict[int, Reply] = field(default_factory=dict)
    unscored: str | None = None
    draws: dict[int, Usage] = field(default_factory=dict)
    completions: int = 0

    @property
    def usage(self) -> Usage:
        """Usage of all parts."""
        return sum(self.draws.values(), Usage())

    def count(self, usage: Usage, start: int) -> None:
        """Add *usage* to that of the part that begins with sample *start*."""
        self.draws[start] = self.draws.get(start, Usage()) + usage

    @property
    def drawn(self) -> tuple[Candidate, ...]:
        """Its responses, in the order of their indices; some may have no score."""
        return tuple(self.candidates[index] for index in sorted(self.candidates))

    @property
    def scored(self) -> tuple[Candidate, ...]:
        """Its responses that have a score."""
        return tuple(candidate for candidate in self.drawn if candidate.score is not None)

    def record(self) -> Call:
        """Return the call as it stands in a record."""
        scope = self.scope
        return Call(
            phase=scope.phase,
            messages=self.messages,
            n=self.sampling.n,
            seed=self.sampling.seed,
            request=self.request,
            branch=scope.branch,
            ordinal=scope.ordinal,
            role=scope.role,
            reads=self.reads,
            replies=tuple(self.replies[index] for index in sorted(self.replies)),
            usage=self.usage,
            draws=tuple(sorted(self.draws.items())) if len(self.draws) > 1 else (),
        )


def reply_of(completion: Completion) -> Reply:
    """Return *completion* as a reply that is no candidate."""
    return Reply(
        completion.index, completion.text, completion.finish_reason, completion.reasoning, completion.served
    )


def hash_of_call(messages: Messages, sampling: Sampling) -> str:
    """Return the hash under which a journal keeps the call; empty where JSON has no form for a message."""
    try:
        return request_hash(messages, flat(sampling))
    except StoreError:
        return ""
