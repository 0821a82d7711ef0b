"""Checkpoints: written whole or not at all, and read only by a training like the one that wrote them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import nn


def fingerprint(plan: object, start: nn.Module | None = None) -> str:
    """What tells one training from another: its plan, and the weights that it begins with."""
    digest = hashlib.sha256(repr(plan).encode())
    for weights in start.parameters() if start else ():
        digest.update(weights.detach().numpy().tobytes())
    return digest.hexdigest()


def save_checkpoint(path: Path, made_by: str, **state: object) -> None:
    """Write *state* and the fingerprint *made_by*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save({**state, "made_by": made_by}, part)
    part.replace(path)


def load_checkpoint(path: Path, made_by: str) -> dict[str, Any]:
    """The state in *path*, or nothing where there is no such file.

    Raises:
        SystemExit: another training wrote the file.
    """
    if not path.exists():
        return {}
    state: dict[str, Any] = torch.load(path, weights_only=True)
    if state["made_by"] != made_by:
        raise SystemExit(
            f"{path}: written with another seed or plan, or from other weights. Delete it to train anew, or "
            "name another folder with --work."
        )
    return state
