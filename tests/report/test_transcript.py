"""A trajectory as the page unfolds it."""

from __future__ import annotations

from typing import Any

from tests.methods.own import run
from tests.methods.test_attempt import two_critiques
from tpo.report.transcript import transcript


def text(record: dict[str, Any], number: int) -> str:
    return str(record["texts"][number])


def test_each_call_of_a_step_is_told_by_phase_and_branch() -> None:
    record = transcript(run(two_critiques))
    (step,) = record["steps"]
    assert [call["place"] for call in step["calls"]] == [
        "loss.1.0",
        "gradient.1.0",
        "update.1.0",
        "loss.2.0",
        "gradient.2.0",
        "update.2.0",
    ]
    assert [call["reads"] for call in step["calls"]] == [False, False, True] * 2
    ((_, said, finish),) = step["calls"][0]["replies"]
    assert (text(record, said), finish) == ("loss 1.0 of q7", "stop")
    assert (step["chosen"], step["rejected"]) == (None, None)
