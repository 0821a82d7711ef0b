"""Muon for the layers' matrices, AdamW for all else, and the learning rate's course."""

from __future__ import annotations

import torch
from torch import nn

MUON_RATE, ADAM_RATE = 0.02, 3e-3


class Optimizers:
    """Both optimizers as one, under one schedule."""

    def __init__(self, model: nn.Module, factor: float = 1.0) -> None:
        named = list(model.named_parameters())
        matrices = [p for name, p in named if p.ndim == 2 and ".layers." in name]
        others = [p for name, p in named if not (p.ndim == 2 and ".layers." in name)]
        self.parts = (
            torch.optim.Muon(
                matrices,
                lr=MUON_RATE * factor,
                momentum=0.95,
                weight_decay=0.01,
                ns_steps=4,
                adjust_lr_fn="original",
            ),
            torch.optim.AdamW(others, lr=ADAM_RATE * factor, betas=(0.9, 0.98), weight_decay=0.0),
        )
        self.full = [group["lr"] for part in self.parts for group in part.param_groups]

    def step(self, scale: float) -> None:
        """One step at *scale* of the full learning rate."""
        groups = [group for part in self.parts for group in part.param_groups]
        for group, full in zip(groups, self.full, strict=True):
            group["lr"] = full * scale
        for part in self.parts:
            part.step()  # type: ignore[no-untyped-call]  # torch types only some optimizers
            part.zero_grad(set_to_none=True)


def course(step: int, steps: int, warmup: int = 40, decay: float = 0.45) -> float:
    """The share of the full rate: up, level, and down to nearly nothing over the last part."""
    left = (steps - step) / (steps * decay)
    return max(0.01, min(1.0, (step + 1) / warmup, left))
