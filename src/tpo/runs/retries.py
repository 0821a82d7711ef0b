"""Listener that counts retries by phase."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tpo.events import CallRetried, Event


@dataclass
class Retries:
    """Counts ``CallRetried`` events; hand it to what makes the calls, and to :func:`tpo.runs.run`."""

    by_phase: Counter[str] = field(default_factory=Counter)
    """Tries after the first, by the phase of their call; a judge's replies without a grade among "reward"."""

    def __call__(self, event: Event) -> None:
        """Count *event*, if it is one."""
        if isinstance(event, CallRetried):
            self.by_phase[event.scope.phase] += 1
