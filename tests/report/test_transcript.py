"""A trajectory as the page unfolds it."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.methods.own import run
from tests.methods.test_attempt import two_critiques
from tpo.methods.catalog import bon
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy
from tpo.report.transcript import transcript
from tpo.types import Messages, Scope, Score


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


def test_a_response_is_told_with_its_criteria_in_their_order() -> None:
    trajectory = asyncio.run(Optimizer(ScriptedPolicy(), Checked(), bon(sample_size=1)).optimize("Hello"))
    (candidate,) = transcript(trajectory)["candidates"]
    assert candidate["criteria"] == [["kind", 0.25], ["brief", 1.0]]


class Checked:
    """Gives each response the same two criteria."""

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        return Score(0.5, criteria={"kind": 0.25, "brief": 1.0})
