"""Logs: the policy calls of each iteration, with what was sent and what came back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tpo.export.atomic_writer import Exported, write_json_list
from tpo.types import Call, Step, Trajectory


def export_logs(trajectories: Iterable[Trajectory], path: Path) -> Exported:
    """Write the iterations of all *trajectories* to *path* as a JSON list, one at a time, failed ones too.

    Raises:
        StoreError: *path* cannot be written.
    """
    return Exported(write_json_list(path, map(query_log, trajectories)))


def query_log(trajectory: Trajectory) -> dict[str, Any]:
    """Return a query's iterations."""
    return {
        "id": trajectory.query.id,
        "query": trajectory.query.text,
        "method": trajectory.method,
        "status": trajectory.status,
        "error": trajectory.error,
        "iterations": [_iteration(step) for step in trajectory.steps],
    }


def _iteration(step: Step) -> dict[str, Any]:
    pair = step.pair
    return {
        "iteration": step.number,
        "chosen": None if pair is None else pair.chosen.id,
        "rejected": None if pair is None or pair.rejected is None else pair.rejected.id,
        "calls": [_call(call) for call in step.calls],
        "candidates": [candidate.id for candidate in step.candidates],
    }


def _call(call: Call) -> dict[str, Any]:
    """Return the prompt and the replies; responses are among the candidates, unreadable ones here."""
    return {
        "phase": call.phase,
        "branch": call.branch,
        "ordinal": call.ordinal,
        "role": call.role,
        "input": list(call.messages),
        "output": [reply.text for reply in call.replies],
    }
