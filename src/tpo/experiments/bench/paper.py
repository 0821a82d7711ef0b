"""Numbers of the paper's table (Li et al. 2025, arXiv 2501.12895) for the closest model."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from tpo.errors import ConfigError

TPO_METHODS = ("tpo", "paper", "textgrad")
"""Methods that are comparable with the paper's rows for TPO."""


@dataclass(frozen=True, slots=True)
class PaperNumber:
    """A cell of the paper's table.

    Attributes:
        row: the policy and its alignment, as named in the table.
        column: the column.
        value: the value in the unit of the column.
        same_model: the policy is the table's model; if not, the numbers are of different models.
    """

    row: str
    column: str
    value: float
    same_model: bool


@cache
def published() -> dict[str, Any]:
    """Return the paper's table and settings."""
    text = resources.files("tpo.experiments.bench").joinpath("paper.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def closest_model(policy: str, wanted: str | None = None) -> tuple[str, bool] | None:
    """Return the table's model closest to *policy* and whether it is the same; None if no model is close.

    *wanted* is the user's choice.

    Raises:
        ConfigError: *wanted* is not in the table.
    """
    models = published()["models"]
    for name, hub in models.items():
        if hub is not None and _bare(policy) == _bare(hub) and wanted in (None, name):
            return name, True
    if wanted is not None:
        if wanted not in models:
            raise ConfigError(
                f"--paper-model {wanted}: not in the paper's table; models: {', '.join(models)}"
            )
        return wanted, False
    return _by_family(_bare(policy))


def paper_number(
    policy: str, column: str, *, shape: str | None = None, reward: str = "", wanted: str | None = None
) -> PaperNumber | None:
    """Return the cell for *policy* in *column*; None if the table has none.

    Args:
        policy: name or id of the model.
        column: column of the table.
        shape: ``D2-N5`` for TPO's final answer; None for the unaligned model.
        reward: name of the guiding reward, for rows of TPO.
        wanted: the table's model to compare with.
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
    """Return whether *name*, from the command line or a server, is the model *hub*, at any path."""
    return _bare(name) == _bare(hub)


def _bare(name: str) -> str:
    """Return a model's name without its path or server."""
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
