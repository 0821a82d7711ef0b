"""The answers as conversations for supervised fine-tuning: a ``messages`` column, as TRL reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from tpo.export.atomic_writer import Exported
from tpo.export.eligible import EVERYTHING, Eligible, is_blank
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
    """Write each finished query with its answer to *path*, one at a time.

    Where the answer is blank or not *eligible*, the eligible response of the highest reward is used. Failed
    queries, those whose turns hold more than text, and those without such a response are left out and
    counted.

    Raises:
        ConfigError: the suffix of *path* is neither ``.jsonl`` nor ``.parquet``.
        MissingExtra: it is ``.parquet``, and pyarrow is not installed.
        StoreError: *path* cannot be written.
    """

    def rows_of(trajectory: Trajectory, prompt: list[dict[str, str]]) -> Iterator[Row]:
        answer = answer_of(trajectory, eligible)
        if answer is not None:
            yield answer_row(trajectory, prompt, answer, models)

    return write_training_set(trajectories, rows_of, COLUMNS, path)


def answer_of(trajectory: Trajectory, eligible: Eligible) -> Candidate | None:
    """Return the answer; the eligible response of the highest reward where it is blank or not *eligible*."""
    pool, best = eligible.of(trajectory.pool), trajectory.best
    if best is not None and best in pool and not is_blank(best):
        return best
    return max(pool, key=lambda candidate: candidate.reward, default=None)


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
