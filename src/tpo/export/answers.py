"""The best answers as conversations for supervised fine-tuning: a ``messages`` column, as TRL reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from tpo.export.atomic_writer import Exported
from tpo.export.eligible import EVERYTHING, Eligible
from tpo.export.tables import Row
from tpo.export.training import UNNAMED, Models, turn, write_training_set
from tpo.types import Candidate, Trajectory, assistant

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "messages": "messages",
        "reward": "double",
        "query_id": "string",
        "candidate_id": "string",
        "step": "int64",
        "finish_reason": "string",
        "method": "string",
        "policy": "string",
        "reward_model": "string",
    }
)
"""The columns and their types in Parquet."""


def export_sft(
    trajectories: Iterable[Trajectory],
    path: Path,
    eligible: Eligible = EVERYTHING,
    models: Models = UNNAMED,
) -> Exported:
    """Write each finished query with the best of its *eligible* responses to *path*, one at a time.

    Failed queries, those whose turns hold more than text, and those without such a response are left out and
    counted.

    Raises:
        ConfigError: the suffix of *path* is neither ``.jsonl`` nor ``.parquet``.
        MissingExtra: it is ``.parquet``, and pyarrow is not installed.
        StoreError: *path* cannot be written.
    """

    def rows_of(trajectory: Trajectory, prompt: list[dict[str, str]]) -> Iterator[Row]:
        best = max(eligible.of(trajectory.pool), key=lambda c: c.reward, default=None)
        if best is not None:
            yield answer_row(trajectory, prompt, best, models)

    return write_training_set(trajectories, rows_of, COLUMNS, path)


def answer_row(
    trajectory: Trajectory, prompt: list[dict[str, str]], answer: Candidate, models: Models
) -> Row:
    """Return the row of *answer* as a conversation."""
    return {
        "messages": [*prompt, turn(assistant(answer.text))],
        "reward": float(answer.reward),
        "query_id": trajectory.query.id,
        "candidate_id": answer.id,
        "step": answer.step,
        "finish_reason": answer.finish_reason,
        "method": trajectory.method,
        "policy": models.policy,
        "reward_model": models.reward,
    }
