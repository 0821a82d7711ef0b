"""Muon for the layers' matrices, AdamW for all else, and the learning rate's course."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

MUON_RATE, ADAM_RATE = 0.02, 3e-3
MOMENTUM, WEIGHT_DECAY = 0.95, 0.01
COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Of the quintic Newton-Schulz iteration that makes a matrix nearly orthogonal (Muon, Jordan et al. 2024)."""


class Muon(torch.optim.Optimizer):
    """Momentum steps made orthogonal, in float32: torch's own computes them in bfloat16.

    A CPU without bfloat16 products takes 70 times as long for that. Matrices of one shape are one batch.
    """

    def __init__(self, matrices: list[nn.Parameter], lr: float) -> None:
        super().__init__(matrices, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # no closure
        """Move every matrix by its orthogonal step."""
        for group in self.param_groups:
            shapes: dict[tuple[int, ...], list[Any]] = {}
            for matrix in group["params"]:
                shapes.setdefault(tuple(matrix.shape), []).append(matrix)
            for matrices in shapes.values():
                moments = []
                for matrix in matrices:
                    moment = self.state[matrix].setdefault("moment", torch.zeros_like(matrix))
                    gradient: Tensor = matrix.grad
                    moment.lerp_(gradient, 1 - MOMENTUM)
                    moments.append(gradient.lerp(moment, MOMENTUM))
                steps = orthogonal(torch.stack(moments))
                scale = max(1.0, matrices[0].shape[0] / matrices[0].shape[1]) ** 0.5
                for matrix, move in zip(matrices, steps, strict=True):
                    matrix.mul_(1 - group["lr"] * WEIGHT_DECAY).add_(move, alpha=-group["lr"] * scale)


def orthogonal(matrices: Tensor, iterations: int = 4) -> Tensor:
    """Return *matrices* of shape (count, rows, columns) with all singular values near 1."""
    a, b, c = COEFFICIENTS
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x: Tensor = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.mT


class Optimizers:
    """Both optimizers as one, under one schedule."""

    def __init__(self, model: nn.Module, factor: float = 1.0) -> None:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        matrices = [p for name, p in named if p.ndim == 2 and ".layers." in name]
        others = [p for name, p in named if not (p.ndim == 2 and ".layers." in name)]
        self.parts = (
            Muon(matrices, MUON_RATE * factor),
            torch.optim.AdamW(others, lr=ADAM_RATE * factor, betas=(0.9, 0.98), weight_decay=0.0),
        )
        self.full = [group["lr"] for part in self.parts for group in part.param_groups]

    def state_dict(self) -> list[dict[str, Any]]:
        """What a checkpoint keeps of both."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Go on from *states*."""
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)

    def step(self, scale: float) -> None:
        """One step at *scale* of the full learning rate."""
        groups = [group for part in self.parts for group in part.param_groups]
        for group, full in zip(groups, self.full, strict=True):
            group["lr"] = full * scale
        for part in self.parts:
            part.step()
            part.zero_grad(set_to_none=True)


def course(share: float, step: int, decay: float = 0.45, warmup: int = 40) -> float:
    """The share of the full rate at *share* of the training: up, level, down over the last *decay* of it."""
    return max(0.01, min(1.0, (step + 1) / warmup, (1 - share) / decay))
