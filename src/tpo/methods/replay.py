"""Replay of an earlier trajectory of a query: its recorded calls answer without being made again.

A run that gets more iterations continues its finished queries this way: the journal has dropped their
entries, but their record holds what each call brought.
"""

from __future__ import annotations

from tpo.types import Call, Candidate, Reply, Scope, Trajectory


class Replay:
    """Recorded calls of *earlier*, found by place and request; none without it."""

    def __init__(self, earlier: Trajectory | None = None) -> None:
        steps = () if earlier is None else (earlier.first, *earlier.steps)
        self._calls = {
            (step.number, call.branch, call.phase, call.ordinal): call
            for step in steps
            for call in step.calls
        }
        self._candidates = {step.number: step.candidates for step in steps}

    def find(self, scope: Scope, request: str) -> Call | None:
        """Return the recorded call at *scope*, if it sent the same *request*."""
        found = self._calls.get((scope.step, scope.branch, scope.phase, scope.ordinal))
        return found if found is not None and request and found.request == request else None

    def results(
        self, call: Call, step: int, name: str, start: int, stop: int
    ) -> list[Candidate | Reply] | None:
        """Return what *call* of *step* brought for its samples from *start* to *stop*, in order.

        None where one of them is missing. *name* is what its candidates' ids append. A candidate that could
        not be scored has no score.
        """
        found: dict[int, Candidate | Reply] = {reply.index: reply for reply in call.replies}
        if call.reads:
            found |= {each.index: each for each in self._candidates[step] if each.call == name}
        wanted = range(start, stop)
        return [found[index] for index in wanted] if all(index in found for index in wanted) else None
