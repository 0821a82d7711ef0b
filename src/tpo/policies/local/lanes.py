"""Whether a model can read several samples side by side, each behind the text that all go on from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tpo.policies.local.batch import Batch, logits_alone
from tpo.policies.local.cache import can_join, new_cache
from tpo.policies.local.group import Group
from tpo.policies.local.row import Row

TOLERANCE = 0.05
"""How far logits may lie from those read alone, in their standard deviations: half precision stays within."""

ROUNDS = 3


@torch.inference_mode()
def reads_side_by_side(model: Any) -> bool:
    """Try it on a few tokens: positions and mask must decide alone what a token sees.

    That is so in most models. It is not where attention slides, where positions are counted by the model
    itself or lie in the attention, or in kernels that take no mask of this form.
    """
    if getattr(model.config, "_attn_implementation", None) != "sdpa" or not can_join(new_cache(model.config)):
        return False
    try:
        return _agrees(model)
    except Exception:  # noqa: BLE001 - whatever a model raises, it does not read this
        return False


def _agrees(model: Any) -> bool:
    rows = [Row(lane, (1, 2, 3, 4), 0.0, 1.0, ROUNDS, np.random.default_rng(), print) for lane in range(2)]
    batch = Batch(model, [Group(rows)])
    for number in range(ROUNDS):
        for row in rows:
            row.tokens.append(5 + number + row.index)
        batch.advance(torch.tensor([[row.tokens[-1] for row in rows]], device=model.device))
    alone = torch.cat([logits_alone(model, row.text) for row in rows])
    return bool((batch.logits[0] - alone).abs().max() < TOLERANCE * alone.std())
