"""The reference's log: four items an iteration, by the phases of the methods that run.py uses.

Textual loss (input and output), gradient input, gradient output, update input. Inputs are the messages that
were sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tpo.export.atomic_writer import write_json_list
from tpo.export.logs import query_log
from tpo.types import Call, Step, Trajectory


def write_log(trajectories: Iterable[Trajectory], path: Path) -> None:
    """Write the iterations of all *trajectories* to *path* as a JSON list, failed ones too.

    Raises:
        StoreError: *path* cannot be written.
    """
    write_json_list(path, map(_reference_log, trajectories))


def _reference_log(trajectory: Trajectory) -> dict[str, Any]:
    """Return a query's iterations."""
    return query_log(trajectory) | {"iterations": [_iteration(step) for step in trajectory.steps]}


def _iteration(step: Step) -> dict[str, Any]:
    calls = {call.phase: call for call in step.calls}
    loss, gradient, update = (calls.get(phase, Call(phase, ())) for phase in ("loss", "gradient", "update"))
    pair = step.pair
    return {
        "iteration": step.number,
        "chosen": None if pair is None else pair.chosen.id,
        "rejected": None if pair is None or pair.rejected is None else pair.rejected.id,
        "loss": {"input": list(loss.messages), "output": loss.text},
        "gradient_input": list(gradient.messages),
        "gradient_output": gradient.text,
        "update_input": list(update.messages),
    }
