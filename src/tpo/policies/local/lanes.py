"""How a model can be read: samples side by side behind the text they go on from, batches in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tpo.policies.local.batch import Batch
from tpo.policies.local.cache import can_join, new_cache
from tpo.policies.local.group import Group
from tpo.policies.local.passes import PARTED, Part, read_alone, read_apart, read_together
from tpo.policies.local.row import Row

TOLERANCE = 0.05
"""How far logits may lie from those read alone, in their standard deviations: half precision stays within."""

ROUNDS = 3

Read = Callable[[Sequence[Part]], Sequence[Tensor]]


@torch.inference_mode()
def reads_side_by_side(model: Any) -> bool:
    """Try it on a few tokens: positions and mask must decide alone what a token sees.

    That is so in most models. It is not where attention slides, where positions are counted by the model
    itself or lie in the attention, or in kernels that take no mask of this form.
    """
    return _may_try(model) and _agrees(model, (2,), lambda parts: [read_apart(model, part) for part in parts])


@torch.inference_mode()
def part_attention(model: Any) -> bool:
    """Let *model* read several batches in one pass, and try it; if it cannot, it is left as it was.

    It can where attention is a function of transformers' registry, which gets whatever the model is called
    with, and where nothing else in the model lets a token see another.
    """
    if not _may_try(model):
        return False
    try:
        model.set_attn_implementation(PARTED)
    except Exception:  # noqa: BLE001 - whatever a model raises, it does not take this attention
        return False
    if _agrees(model, (2, 1), lambda parts: read_together(model, parts)):
        return True
    model.set_attn_implementation("sdpa")
    return False


def _may_try(model: Any) -> bool:
    return getattr(model.config, "_attn_implementation", None) == "sdpa" and can_join(new_cache(model.config))


def _agrees(model: Any, sizes: Sequence[int], read: Read) -> bool:
    """Whether rows in batches of these *sizes* get the logits that each gets alone."""
    try:
        return all(_is_alike(model, batch) for batch in _advanced(model, sizes, read))
    except Exception:  # noqa: BLE001 - whatever a model raises, it does not read this
        return False


def _advanced(model: Any, sizes: Sequence[int], read: Read) -> list[Batch]:
    """Batches of one group each, with *sizes* rows, a few tokens on."""
    groups = [Group([_row(length, lane) for lane in range(size)]) for length, size in enumerate(sizes, 4)]
    batches = [Batch(model, [group]) for group in groups]
    for number in range(ROUNDS):
        for row in (row for group in groups for row in group.rows):
            row.tokens.append(5 + number + row.index)
        tokens = [
            torch.tensor([[row.tokens[-1] for row in group.rows]], device=model.device) for group in groups
        ]
        parts = [batch.feed(one) for batch, one in zip(batches, tokens, strict=True)]
        for batch, logits in zip(batches, read(parts), strict=True):
            batch.logits = logits
    return batches


def _row(length: int, lane: int) -> Row:
    return Row(lane, tuple(range(1, length + 1)), 0.0, 1.0, ROUNDS, np.random.default_rng(), print)


def _is_alike(model: Any, batch: Batch) -> bool:
    alone = torch.cat([read_alone(model, row.text) for row in batch.live])
    return bool((batch.logits[0] - alone).abs().max() < TOLERANCE * alone.std())
