"""Inputs and outputs of each iteration's calls, as the reference logs them: four items per iteration.

Textual loss (input and output), gradient input, gradient output, update input. Inputs are the messages that
were sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tpo.export.writing import Exported, write_json_list
from tpo.types import Step, Trajectory


def export_logs(trajectories: Iterable[Trajectory], path: Path) -> Exported:
    """Write the iterations of all *trajectories* to *path* as a JSON list, one at a time, failed ones too.

    Raises:
        StoreError: *path* cannot be written.
    """
    return Exported(write_json_list(path, map(query_log, trajectories)))


def query_log(trajectory: Trajectory) -> dict[str, Any]:
    """Return the iterations of a query."""
    return {
        "id": trajectory.query.id,
        "query": trajectory.query.text,
        "method": trajectory.method,
        "status": trajectory.status,
        "error": trajectory.error,
        "iterations": [_iteration(step) for step in trajectory.steps],
    }


def _iteration(step: Step) -> dict[str, Any]:
    return {
        "iteration": step.number,
        "chosen": step.pair.chosen.id,
        "rejected": step.pair.rejected.id if step.pair.rejected else None,
        "loss": {"input": list(step.loss.messages), "output": step.loss.text},
        "gradient_input": list(step.gradient.messages),
        "gradient_output": step.gradient.text,
        "update_input": list(step.update),
    }
