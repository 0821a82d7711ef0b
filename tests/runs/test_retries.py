"""Retries are counted by the phase of their call."""

from tests.cli.values import query
from tpo.events import CallRetried, StepStarted
from tpo.runs.retries import Retries
from tpo.types import Scope


def test_retries_are_counted_by_phase_and_other_events_are_not() -> None:
    retries = Retries()
    for phase in ("update", "update", "reward"):
        retries(CallRetried(Scope("q", 1, phase), "busy", 0.5))
    retries(StepStarted(query("q"), 1))
    assert retries.by_phase == {"update": 2, "reward": 1}
