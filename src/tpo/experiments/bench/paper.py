"""The paper's own numbers (Li et al. 2025, arXiv 2501.12895), of the closest model in its table."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from tpo.errors import ConfigError

TPO_METHODS = ("tpo", "paper", "textgrad")
"""Methods that the paper's TPO rows may stand beside."""


@dataclass(frozen=True, slots=True)
class PaperNumber:
    """A cell of the paper's table.

    Attributes:
        row: the policy, and how it was aligned, as the table has it.
        column: its column.
        value: in the column's own unit.
        same_model: whether the policy is the very one; if not, the two numbers are of different models.
    """

    row: str
    column: str
    value: float
    same_model: bool


@cache
def published() -> dict[str, Any]:
    """The paper's table and settings."""
    text = resources.files("tpo.experiments.bench").joinpath("paper.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def closest_model(policy: str, wanted: str | None = None) -> tuple[str, bool] | None:
    """The paper's name of the model closest to *policy*, and whether it is the same; None: none is close.

    *wanted* is the user's own choice.

    Raises:
        ConfigError: *wanted* is in no row.
    """
    models = published()["models"]
    for name, hub in models.items():
        if hub is not None and _bare(policy) == _bare(hub) and wanted in (None, name):
            return name, True
    if wanted is not None:
        if wanted not in models:
            raise ConfigError(f"--paper-model {wanted}: the paper's table has {', '.join(models)}")
        return wanted, False
    return _by_family(_bare(policy))


def paper_number(
    policy: str, column: str, *, shape: str | None = None, reward: str = "", wanted: str | None = None
) -> PaperNumber | None:
    """The cell for *policy* in *column*; None where the paper has none.

    Args:
        policy: the model's name or id.
        column: of the table.
        shape: ``D2-N5`` for TPO's final answer; None for the unaligned model.
        reward: the name of the reward that guides, for TPO's rows.
        wanted: the paper's model to stand beside.
    """
    found = closest_model(policy, wanted)
    if found is None:
        return None
    model, same = found
    place = published()["columns"].index(column)
    for row in published()["rows"]:
        guided = row["reward"] is None or is_model(reward, row["reward"])
        if row["model"] == model and row["shape"] == shape and guided:
            by = "" if shape is None else f" + TPO {shape}, guided by {row['reward'].rpartition('/')[2]}"
            return PaperNumber(f"{model}{by}", column, row["values"][place], same)
    return None


def is_model(name: str, hub: str) -> bool:
    """Whether *name*, as on the command line or at a server, is the model *hub*, wherever it lies."""
    return _bare(name) == _bare(hub)


def _bare(name: str) -> str:
    """A model's own name, without where it lies."""
    name = name.rpartition("#")[2] if "#" in name else name
    return name.rstrip("/").removeprefix("hf:").rpartition("/")[2].lower()


def _by_family(policy: str) -> tuple[str, bool] | None:
    words = set(re.split(r"[-_.]", policy))
    if "mistral" in words:
        return "Mistral-Small-Instruct-2409", False
    if not any("llama" in word for word in words):
        return None
    for word in ("sft", "dpo", "instruct"):
        if word in words:
            return f"LLaMA-3.1-70B-{word.upper() if word != 'instruct' else 'Instruct'}", False
    return None
