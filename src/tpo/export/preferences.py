"""Preference pairs for DPO, in the conversational form that TRL documents: prompt, chosen, rejected.

A policy can be trained on what it wrote itself, with the reward model of the run as the judge. TRL reads
the first three columns; the others tell where a pair comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from tpo.export.atomic_writer import Exported
from tpo.export.pairing import BEST_WORST, Pairing, Preference
from tpo.export.tables import Row
from tpo.export.training import UNNAMED, Models, turn, write_training_set
from tpo.types import Trajectory, assistant

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "prompt": "messages",
        "chosen": "messages",
        "rejected": "messages",
        "chosen_reward": "double",
        "rejected_reward": "double",
        "margin": "double",
        "query_id": "string",
        "chosen_id": "string",
        "rejected_id": "string",
        "chosen_step": "int64",
        "rejected_step": "int64",
        "chosen_finish_reason": "string",
        "rejected_finish_reason": "string",
        "method": "string",
        "policy": "string",
        "reward_model": "string",
    }
)
"""The columns and their types in Parquet."""


def export_dpo(
    trajectories: Iterable[Trajectory],
    path: Path,
    pairing: Pairing = BEST_WORST,
    models: Models = UNNAMED,
) -> Exported:
    """Write the pairs that *pairing* forms of the finished *trajectories* to *path*, one query at a time.

    Failed queries, those whose turns hold more than text, and those without a pair are left out and counted.

    Raises:
        ConfigError: the suffix of *path* is neither ``.jsonl`` nor ``.parquet``.
        MissingExtra: it is ``.parquet``, and pyarrow is not installed.
        StoreError: *path* cannot be written.
    """

    def rows_of(trajectory: Trajectory, prompt: list[dict[str, str]]) -> Iterator[Row]:
        for pair in pairing.pairs(trajectory):
            yield preference_row(trajectory, prompt, pair, models)

    return write_training_set(trajectories, rows_of, COLUMNS, path)


def preference_row(
    trajectory: Trajectory, prompt: list[dict[str, str]], pair: Preference, models: Models
) -> Row:
    """Return the row of *pair* in the form of a preference data set."""
    chosen, rejected = pair.chosen, pair.rejected
    return {
        "prompt": prompt,
        "chosen": [turn(assistant(chosen.text))],
        "rejected": [turn(assistant(rejected.text))],
        "chosen_reward": float(chosen.reward),
        "rejected_reward": float(rejected.reward),
        "margin": float(pair.margin),
        "query_id": trajectory.query.id,
        "chosen_id": chosen.id,
        "rejected_id": rejected.id,
        "chosen_step": chosen.step,
        "rejected_step": rejected.step,
        "chosen_finish_reason": chosen.finish_reason,
        "rejected_finish_reason": rejected.finish_reason,
        "method": trajectory.method,
        "policy": models.policy,
        "reward_model": models.reward,
    }
